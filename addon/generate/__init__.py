"""Generate Scene: a job at the service, followed from a timer, lost by nothing."""
