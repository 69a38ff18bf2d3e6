//! A long-running process: tasks that stop, signals, the service manager.
