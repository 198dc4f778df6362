//! The bridge to `cpp/shim.h`. Every function that may throw returns a [`Result`]: without it what is
//! thrown ends the process.

#![expect(
    unsafe_code,
    reason = "the one place that says what C++ gives: references and owned objects"
)]
#![expect(unreachable_pub, reason = "what the macro makes is public in this module")]

#[cxx::bridge(namespace = "nexus_seal")]
pub(crate) mod ffi {
    // Safety: the shim keeps no reference that it is given, gives none away, and hands every object
    // over in a pointer that owns it. Slices are read and written within their lengths.
    unsafe extern "C++" {
        include!("nexus-seal/cpp/shim.h");

        type Engine;
        type Secret;
        type Public;
        type RelinKeys;
        type GaloisKeys;
        type Plaintext;
        type Ciphertext;

        fn version() -> u32;
        fn engine(degree: usize, moduli: &[u64], plain: u64) -> Result<UniquePtr<Engine>>;

        fn secret(self: &Engine) -> Result<UniquePtr<Secret>>;
        fn public_key(self: &Engine, secret: &Secret) -> Result<UniquePtr<Public>>;
        fn relinearisation(self: &Engine, secret: &Secret) -> Result<UniquePtr<RelinKeys>>;
        fn rotations(
            self: &Engine,
            secret: &Secret,
            steps: &[i32],
        ) -> Result<UniquePtr<GaloisKeys>>;

        fn encode(
            self: &Engine,
            values: &[f64],
            scale: f64,
            moduli: usize,
        ) -> Result<UniquePtr<Plaintext>>;
        fn decode(self: &Engine, plain: &Plaintext, values: &mut [f64]) -> Result<()>;

        fn encode_integers(self: &Engine, values: &[i64]) -> Result<UniquePtr<Plaintext>>;
        fn decode_integers(self: &Engine, plain: &Plaintext, values: &mut [i64]) -> Result<()>;

        fn encrypt(self: &Engine, key: &Public, plain: &Plaintext)
        -> Result<UniquePtr<Ciphertext>>;
        fn encrypt_secretly(
            self: &Engine,
            key: &Secret,
            plain: &Plaintext,
        ) -> Result<UniquePtr<Ciphertext>>;
        fn decrypt(self: &Engine, key: &Secret, a: &Ciphertext) -> Result<UniquePtr<Plaintext>>;

        fn add(self: &Engine, a: &Ciphertext, b: &Ciphertext) -> Result<UniquePtr<Ciphertext>>;
        fn add_plain(self: &Engine, a: &Ciphertext, b: &Plaintext)
        -> Result<UniquePtr<Ciphertext>>;
        fn multiply_plain(
            self: &Engine,
            a: &Ciphertext,
            b: &Plaintext,
        ) -> Result<UniquePtr<Ciphertext>>;
        fn multiply(self: &Engine, a: &Ciphertext, b: &Ciphertext)
        -> Result<UniquePtr<Ciphertext>>;
        fn relinearise(
            self: &Engine,
            a: &Ciphertext,
            key: &RelinKeys,
        ) -> Result<UniquePtr<Ciphertext>>;
        fn rescale(self: &Engine, a: &Ciphertext) -> Result<UniquePtr<Ciphertext>>;
        fn drop_last(self: &Engine, a: &Ciphertext) -> Result<UniquePtr<Ciphertext>>;
        fn rotate(
            self: &Engine,
            a: &Ciphertext,
            steps: i32,
            keys: &GaloisKeys,
        ) -> Result<UniquePtr<Ciphertext>>;

        fn forward(self: &Engine, words: &mut [u64], modulus: usize) -> Result<()>;
        fn inverse(self: &Engine, words: &mut [u64], modulus: usize) -> Result<()>;

        fn read_secret(self: &Engine, bytes: &[u8]) -> Result<UniquePtr<Secret>>;
        fn read_public(self: &Engine, bytes: &[u8]) -> Result<UniquePtr<Public>>;
        fn read_relinearisation(self: &Engine, bytes: &[u8]) -> Result<UniquePtr<RelinKeys>>;
        fn read_rotations(self: &Engine, bytes: &[u8]) -> Result<UniquePtr<GaloisKeys>>;
        fn read_ciphertext(self: &Engine, bytes: &[u8]) -> Result<UniquePtr<Ciphertext>>;

        #[cxx_name = "most_bytes"]
        fn most_of_secret(it: &Secret, mode: u8) -> Result<usize>;
        #[cxx_name = "most_bytes"]
        fn most_of_public(it: &Public, mode: u8) -> Result<usize>;
        #[cxx_name = "most_bytes"]
        fn most_of_relinearisation(it: &RelinKeys, mode: u8) -> Result<usize>;
        #[cxx_name = "most_bytes"]
        fn most_of_rotations(it: &GaloisKeys, mode: u8) -> Result<usize>;
        #[cxx_name = "most_bytes"]
        fn most_of_ciphertext(it: &Ciphertext, mode: u8) -> Result<usize>;
        #[cxx_name = "write"]
        fn write_secret(it: &Secret, mode: u8, bytes: &mut [u8]) -> Result<usize>;
        #[cxx_name = "write"]
        fn write_public(it: &Public, mode: u8, bytes: &mut [u8]) -> Result<usize>;
        #[cxx_name = "write"]
        fn write_relinearisation(it: &RelinKeys, mode: u8, bytes: &mut [u8]) -> Result<usize>;
        #[cxx_name = "write"]
        fn write_rotations(it: &GaloisKeys, mode: u8, bytes: &mut [u8]) -> Result<usize>;
        #[cxx_name = "write"]
        fn write_ciphertext(it: &Ciphertext, mode: u8, bytes: &mut [u8]) -> Result<usize>;
    }
}
