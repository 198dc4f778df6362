//! Attacks on what training gives away, as a library, beside what differential privacy allows.
//!
//! # Why it exists
//!
//! An accountant's epsilon is a theorem about a mechanism; a program may implement another one. An
//! attack measures the program. It cannot prove that a job is private, for the next attack may be
//! better, but it can prove that a job is *not* what it claims, and it shows what the figure means.
//!
//! | attack | asks | shows | does not show |
//! |---|---|---|---|
//! | [`membership`] | was this row trained on? | a lower bound of what published models give away, for the recipe that was attacked | safety: attacks at 0.5 say that *these* fail |
//! | [`canary`] | is epsilon what was accounted? | a lower bound of epsilon with a p-value: noise missing, too narrow, not fresh, rows not clipped | epsilons above [`canary::most`]; flaws outside the mechanism, such as rows that are sampled as nobody claimed |
//! | [`leakage`] | which rows can be rebuilt from one step? | what secure sums, clip and noise take from a coordinator, honest or not | attacks over many steps |
//! | [`inversion`] | what does a model show of a class? | how like a class's mean row the model's idea of it is | harm, unless a class is one person |
//!
//! Beside every figure stands what the claim allows at most: [`Claim::ceiling`]. [`audit()`] runs
//! everything on a [`Setup`] and judges the figures: a bound above the accounted epsilon, an attack
//! above its ceiling, or a limit of the job that is broken, fails.
//!
//! # Example
//!
//! What a coordinator sees, with and without protection; and canaries in a job's noise.
//!
//! ```
//! use nexus_audit::canary;
//! use nexus_audit::leakage::{self, Attempts, View};
//! use nexus_audit::{Claim, Noise};
//! use nexus_models::{ModelSpec, Network, data::builtin};
//! use nexus_types::Seed;
//!
//! let (digits, seed) = (builtin::digits(), Seed::from_number(1));
//! let network = Network::new(&ModelSpec::mlp(64, &[128], 10))?;
//! let attempts = Attempts { steps: 5, inverted: 0, ..Attempts::default() };
//! // 20 rounds at epsilon 3; at least eight owners answer, two of them may collude.
//! let noise = Noise { rounds: 20, sigma: 6.22, clip: 0.5, owners: 8, colluding: 2 };
//!
//! let bare = View { owners: 1, rows: 8, noise: None };
//! let private = View { owners: 10, rows: 8, noise: Some(noise) };
//! let leak = |view| leakage::attack(&network, &digits, view, Some([8, 8]), attempts, &seed);
//! assert!(leak(bare)?.honest() > 0.5);
//! assert!(leak(private)?.worst() < 1e-9);
//!
//! let claim = Claim::gaussian(noise.mu()?, 1e-5)?;
//! let found = canary::simulate(&noise, 1000, claim.delta(), &seed)?;
//! assert!(!found.refute(&claim) && found.most > claim.epsilon());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Threat model
//!
//! The attackers are those of the job: whoever reads the published model (membership, inversion), a
//! coordinator that follows the protocol or sends parameters of its own making (leakage), and one
//! that sees every release and chose rows itself (canaries), each with the noise of colluding owners
//! taken off. They know the recipe, the distribution of the data, and for a search the classes.
//!
//! An audit is run by someone who may see the pool's rows. **A report is not private**: its curves
//! depend on the rows without noise, and [`leakage::Attempts::pictures`] puts rows themselves into it
//! (none by default). Noise comes from a seed, so that a report can be repeated; no model that is
//! trained here may be published. Settings are checked against limits, scores that are no numbers are
//! refused, and time and memory follow from the settings.
//!
//! Mislabelled rows and Dirac canaries exist in an audit only: they are made here, and no job trains
//! on them.
//!
//! # Cost
//!
//! Membership trains `shadows + targets` models on half of the pool each, on all cores; scoring takes
//! `O(models · rows)`. Canaries cost `rounds · (owners − colluding) · m` draws of noise; leakage a
//! backward pass for each step, and three for each step of a search. Measured on one core of a busy
//! AVX-512 server: 69 models of 9,610 parameters, 40 epochs of 600 rows each, and all attacks on
//! them 2.6 s; as many private ones of the default job, 40 full batches, 8 s;
//! a thousand canaries in 100 rounds 0.1 s.
//!
//! # References
//!
//! * Membership: S. Yeom et al. 2018 (arXiv:1709.01604) · N. Carlini et al., *Membership Inference
//!   Attacks From First Principles*, 2022 (arXiv:2112.03570) · S. Zarifzadeh, P. Liu, R. Shokri,
//!   *Low-Cost High-Power Membership Inference Attacks*, 2024 (arXiv:2312.03262)
//! * Canaries: T. Steinke, M. Nasr, M. Jagielski, *Privacy Auditing with One (1) Training Run*, 2023
//!   (arXiv:2305.08846) · M. Nasr et al., *Tight Auditing of Differentially Private Machine
//!   Learning*, 2023 (arXiv:2302.07956)
//! * Leakage: L. Phong et al., *Privacy-Preserving Deep Learning via Additively Homomorphic
//!   Encryption*, 2018 · L. Zhu, Z. Liu, S. Han 2019 (arXiv:1906.08935) · J. Geiping et al.,
//!   *Inverting Gradients*, 2020 (arXiv:2003.14053) · L. Fowl et al., *Robbing the Fed*, 2022
//!   (arXiv:2110.13057)
//! * Inversion: M. Fredrikson, S. Jha, T. Ristenpart, *Model Inversion Attacks that Exploit Confidence
//!   Information and Basic Countermeasures*, 2015
//! * Ceilings: J. Dong, A. Roth, W. Su, *Gaussian Differential Privacy*, 2019 (arXiv:1905.02383) · P.
//!   Kairouz, S. Oh, P. Viswanath 2015 (arXiv:1311.0776) · curves: E. `DeLong` et al.,
//!   *Biometrics* 44 (1988)

pub mod canary;
mod ceiling;
mod error;
mod gradients;
pub mod inversion;
pub mod leakage;
pub mod mechanism;
pub mod membership;
mod recipe;
mod report;
mod roc;

pub use ceiling::{Ceiling, Claim};
pub use error::AuditError;
pub use mechanism::Noise;
pub use recipe::{Plain, Private, Recipe};
pub use report::{Figure, Limits, Report, Setup, Verdict, audit};
pub use roc::Roc;
