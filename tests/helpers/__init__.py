"""Tools the tests share: clocks, models, saboteurs and watchers; no test lives here."""
