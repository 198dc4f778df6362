//! TenSEAL.
