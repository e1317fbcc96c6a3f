"""The Train tab: the form, the run as it goes, and what there is once it has ended."""
