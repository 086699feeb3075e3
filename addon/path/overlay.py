from typing import Any


def refresh(context: Any) -> None: ...


def register() -> None: ...


def unregister() -> None: ...
