//! Homomorphic encryption: computing with what only the owner of a key can read.
//!
//! | module | what it holds |
//! |---|---|
//! | [`Parameters`] | a closed table of degrees and primes, with SEAL's names for their levels |
//!
//! # Threat model
//!
//! Whoever computes sees ciphertexts and evaluation keys, and learns nothing of what is in them:
//! ring-LWE with ternary secrets at 128 bits by the Homomorphic Encryption Standard. It may compute
//! something else than it was asked for. **No external audit.**
//!
//! # Example
//!
//! ```
//! use nexus_he::Parameters;
//!
//! let parameters = Parameters::ckks(8192, &[50, 40, 40, 50])?;
//! assert_eq!((parameters.degree(), parameters.top()), (8192, 3));
//! assert!(Parameters::ckks(8192, &[60, 60, 60, 60]).is_err()); // 240 bits; 218 are secure
//! # Ok::<(), nexus_he::HeError>(())
//! ```
//!
//! # References
//!
//! * M. Albrecht et al., *Homomorphic Encryption Standard*, 2018 (<https://eprint.iacr.org/2019/939>)
//! * Microsoft SEAL 4.4 (<https://github.com/microsoft/SEAL>)

mod blake2b;
mod error;
mod parameters;

pub use error::HeError;
pub use parameters::{MAX_MODULI, Parameters, ParametersId, Scheme};
