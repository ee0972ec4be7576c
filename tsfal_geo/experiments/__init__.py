"""The paper's tables, re-runnable: what is run, by whom it is compared, how it is written down."""
