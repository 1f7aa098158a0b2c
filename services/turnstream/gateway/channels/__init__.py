"""The channels of `credentials.yml` beside `rest`, which is always open."""
