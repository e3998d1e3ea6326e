"""Says what happened: timings, report, and its forms as JSON, text and Markdown. Prints nothing."""
