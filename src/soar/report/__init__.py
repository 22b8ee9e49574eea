"""What a run computed: metrics, tables, drawings."""
