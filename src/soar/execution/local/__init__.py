"""Programs on one machine: a confined zygote per core forks a worker per batch of programs."""
