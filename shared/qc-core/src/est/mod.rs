//! Enrollment over secure transport (RFC 7030), served and asked.
