//! The field in which masks, shares and proofs live.
