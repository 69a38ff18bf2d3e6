//! The Site kit and the stories that run the real binaries.
