// Microsoft SEAL as the bridge in src/bridge.rs wants it. Every function may throw; the bridge turns
// what is thrown into errors.

#pragma once

#include <cstdint>
#include <memory>

#include "rust/cxx.h"
#include "seal/seal.h"

namespace nexus_seal {

using seal::Ciphertext;
using seal::GaloisKeys;
using seal::Plaintext;
using seal::RelinKeys;

class Engine;

// A secret key with what it is used by, so that tables are made once.
class Secret {
public:
    Secret(const seal::SEALContext &context, seal::SecretKey key);

    seal::SecretKey key;
    std::unique_ptr<seal::Encryptor> encryptor;
    std::unique_ptr<seal::Decryptor> decryptor;
};

class Public {
public:
    Public(const seal::SEALContext &context, seal::PublicKey key);

    seal::PublicKey key;
    std::unique_ptr<seal::Encryptor> encryptor;
};

class Engine {
public:
    explicit Engine(const seal::EncryptionParameters &parameters);

    std::unique_ptr<Secret> secret() const;
    std::unique_ptr<Public> public_key(const Secret &secret) const;
    std::unique_ptr<RelinKeys> relinearisation(const Secret &secret) const;
    std::unique_ptr<GaloisKeys> rotations(
        const Secret &secret, rust::Slice<const std::int32_t> steps) const;

    std::unique_ptr<Plaintext> encode(
        rust::Slice<const double> values, double scale, std::size_t moduli) const;
    void decode(const Plaintext &plain, rust::Slice<double> values) const;

    std::unique_ptr<Plaintext> encode_integers(rust::Slice<const std::int64_t> values) const;
    void decode_integers(const Plaintext &plain, rust::Slice<std::int64_t> values) const;

    std::unique_ptr<Ciphertext> encrypt(const Public &key, const Plaintext &plain) const;
    std::unique_ptr<Ciphertext> encrypt_secretly(const Secret &key, const Plaintext &plain) const;
    std::unique_ptr<Plaintext> decrypt(const Secret &key, const Ciphertext &a) const;

    std::unique_ptr<Ciphertext> add(const Ciphertext &a, const Ciphertext &b) const;
    std::unique_ptr<Ciphertext> add_plain(const Ciphertext &a, const Plaintext &b) const;
    std::unique_ptr<Ciphertext> multiply_plain(const Ciphertext &a, const Plaintext &b) const;
    std::unique_ptr<Ciphertext> multiply(const Ciphertext &a, const Ciphertext &b) const;
    std::unique_ptr<Ciphertext> relinearise(const Ciphertext &a, const RelinKeys &key) const;
    std::unique_ptr<Ciphertext> rescale(const Ciphertext &a) const;
    std::unique_ptr<Ciphertext> drop_last(const Ciphertext &a) const;
    std::unique_ptr<Ciphertext> rotate(
        const Ciphertext &a, std::int32_t steps, const GaloisKeys &keys) const;

    void forward(rust::Slice<std::uint64_t> words, std::size_t modulus) const;
    void inverse(rust::Slice<std::uint64_t> words, std::size_t modulus) const;

    std::unique_ptr<Secret> read_secret(rust::Slice<const std::uint8_t> bytes) const;
    std::unique_ptr<Public> read_public(rust::Slice<const std::uint8_t> bytes) const;
    std::unique_ptr<RelinKeys> read_relinearisation(rust::Slice<const std::uint8_t> bytes) const;
    std::unique_ptr<GaloisKeys> read_rotations(rust::Slice<const std::uint8_t> bytes) const;
    std::unique_ptr<Ciphertext> read_ciphertext(rust::Slice<const std::uint8_t> bytes) const;

private:
    seal::parms_id_type level(std::size_t moduli) const;
    const seal::util::NTTTables &tables(std::size_t words, std::size_t modulus) const;

    seal::SEALContext context_;
    std::unique_ptr<seal::Evaluator> evaluator_;
    // One of them, by the scheme.
    std::unique_ptr<seal::CKKSEncoder> encoder_;
    std::unique_ptr<seal::BatchEncoder> integers_;
};

// CKKS without a plain modulus, else BFV.
std::unique_ptr<Engine> engine(
    std::size_t degree, rust::Slice<const std::uint64_t> moduli, std::uint64_t plain);
std::uint32_t version() noexcept;

// Bytes that writing takes at most, and writing, which says how many it took.
std::size_t most_bytes(const Secret &it, std::uint8_t mode);
std::size_t most_bytes(const Public &it, std::uint8_t mode);
std::size_t most_bytes(const RelinKeys &it, std::uint8_t mode);
std::size_t most_bytes(const GaloisKeys &it, std::uint8_t mode);
std::size_t most_bytes(const Ciphertext &it, std::uint8_t mode);
std::size_t write(const Secret &it, std::uint8_t mode, rust::Slice<std::uint8_t> bytes);
std::size_t write(const Public &it, std::uint8_t mode, rust::Slice<std::uint8_t> bytes);
std::size_t write(const RelinKeys &it, std::uint8_t mode, rust::Slice<std::uint8_t> bytes);
std::size_t write(const GaloisKeys &it, std::uint8_t mode, rust::Slice<std::uint8_t> bytes);
std::size_t write(const Ciphertext &it, std::uint8_t mode, rust::Slice<std::uint8_t> bytes);

} // namespace nexus_seal
