"""The HTTP surface: one blueprint an endpoint; parse, call the stages in order, respond."""
