"""Many workloads at work: their demand in memory, a forecast of each at every step, and how right these were."""
