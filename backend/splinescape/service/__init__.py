"""The service: a broker process that owns sockets and jobs, and worker processes that make scenes."""
