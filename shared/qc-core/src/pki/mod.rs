//! Certificates: authority, requests, tokens, trust; bytes in, bytes out.
