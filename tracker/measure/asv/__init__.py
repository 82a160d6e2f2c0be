"""asv as a runner: its command line, its log and its result files. Nothing else knows them."""
