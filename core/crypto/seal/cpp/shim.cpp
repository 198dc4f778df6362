#include "nexus-seal/cpp/shim.h"

#include <stdexcept>
#include <utility>
#include <vector>

#include "seal/util/ntt.h"

namespace nexus_seal {

namespace {

seal::compr_mode_type mode_of(std::uint8_t mode)
{
    auto type = static_cast<seal::compr_mode_type>(mode);
    if (!seal::Serialization::IsSupportedComprMode(type)) {
        throw std::invalid_argument("this SEAL was built without that compression");
    }
    return type;
}

template <typename T>
std::size_t size_of(const T &it, std::uint8_t mode)
{
    return static_cast<std::size_t>(it.save_size(mode_of(mode)));
}

template <typename T>
std::size_t save(const T &it, std::uint8_t mode, rust::Slice<std::uint8_t> bytes)
{
    auto to = reinterpret_cast<seal::seal_byte *>(bytes.data());
    return static_cast<std::size_t>(it.save(to, bytes.size(), mode_of(mode)));
}

// The one object that the bytes are; SEAL checks it against the context.
template <typename T>
T load(const seal::SEALContext &context, rust::Slice<const std::uint8_t> bytes)
{
    T it;
    auto from = reinterpret_cast<const seal::seal_byte *>(bytes.data());
    auto taken = it.load(context, from, bytes.size());
    if (static_cast<std::size_t>(taken) != bytes.size()) {
        throw std::invalid_argument("there are bytes behind the object");
    }
    return it;
}

template <typename T>
std::unique_ptr<T> moved(T it)
{
    return std::make_unique<T>(std::move(it));
}

} // namespace

Secret::Secret(const seal::SEALContext &context, seal::SecretKey secret)
    : key(std::move(secret)), encryptor(std::make_unique<seal::Encryptor>(context, key)),
      decryptor(std::make_unique<seal::Decryptor>(context, key))
{}

Public::Public(const seal::SEALContext &context, seal::PublicKey given)
    : key(std::move(given)), encryptor(std::make_unique<seal::Encryptor>(context, key))
{}

// The constructor of SEAL's context does not throw.
Engine::Engine(const seal::EncryptionParameters &parameters)
    : context_(parameters, true, seal::sec_level_type::tc128)
{
    if (!context_.parameters_set()) {
        throw std::invalid_argument(context_.parameter_error_message());
    }
    evaluator_ = std::make_unique<seal::Evaluator>(context_);
    if (parameters.scheme() == seal::scheme_type::ckks) {
        encoder_ = std::make_unique<seal::CKKSEncoder>(context_);
    } else {
        integers_ = std::make_unique<seal::BatchEncoder>(context_);
    }
}

std::unique_ptr<Engine> engine(
    std::size_t degree, rust::Slice<const std::uint64_t> moduli, std::uint64_t plain)
{
    seal::EncryptionParameters parameters(
        plain == 0 ? seal::scheme_type::ckks : seal::scheme_type::bfv);
    parameters.set_poly_modulus_degree(degree);
    parameters.set_coeff_modulus(std::vector<seal::Modulus>(moduli.begin(), moduli.end()));
    if (plain != 0) {
        parameters.set_plain_modulus(plain);
    }
    return std::make_unique<Engine>(parameters);
}

std::uint32_t version() noexcept
{
    return SEAL_VERSION_MAJOR << 16 | SEAL_VERSION_MINOR << 8 | SEAL_VERSION_PATCH;
}

seal::parms_id_type Engine::level(std::size_t moduli) const
{
    for (auto data = context_.first_context_data(); data; data = data->next_context_data()) {
        if (data->parms().coeff_modulus().size() == moduli) {
            return data->parms_id();
        }
    }
    throw std::invalid_argument("there is no level of so many moduli");
}

const seal::util::NTTTables &Engine::tables(std::size_t words, std::size_t modulus) const
{
    const auto &data = *context_.key_context_data();
    if (modulus >= data.parms().coeff_modulus().size() ||
        words != data.parms().poly_modulus_degree()) {
        throw std::invalid_argument("no such modulus, or not as many words as the degree");
    }
    return data.small_ntt_tables()[modulus];
}

std::unique_ptr<Secret> Engine::secret() const
{
    return std::make_unique<Secret>(context_, seal::KeyGenerator(context_).secret_key());
}

std::unique_ptr<Public> Engine::public_key(const Secret &secret) const
{
    seal::PublicKey key;
    seal::KeyGenerator(context_, secret.key).create_public_key(key);
    return std::make_unique<Public>(context_, std::move(key));
}

std::unique_ptr<RelinKeys> Engine::relinearisation(const Secret &secret) const
{
    auto keys = std::make_unique<RelinKeys>();
    seal::KeyGenerator(context_, secret.key).create_relin_keys(*keys);
    return keys;
}

std::unique_ptr<GaloisKeys> Engine::rotations(
    const Secret &secret, rust::Slice<const std::int32_t> steps) const
{
    auto keys = std::make_unique<GaloisKeys>();
    std::vector<int> list(steps.begin(), steps.end());
    seal::KeyGenerator(context_, secret.key).create_galois_keys(list, *keys);
    return keys;
}

std::unique_ptr<Plaintext> Engine::encode(
    rust::Slice<const double> values, double scale, std::size_t moduli) const
{
    auto plain = std::make_unique<Plaintext>();
    std::vector<double> list(values.begin(), values.end());
    encoder_->encode(list, level(moduli), scale, *plain);
    return plain;
}

void Engine::decode(const Plaintext &plain, rust::Slice<double> values) const
{
    std::vector<double> list;
    encoder_->decode(plain, list);
    if (list.size() != values.size()) {
        throw std::invalid_argument("not as many values as slots");
    }
    std::copy(list.begin(), list.end(), values.begin());
}

std::unique_ptr<Plaintext> Engine::encode_integers(rust::Slice<const std::int64_t> values) const
{
    auto plain = std::make_unique<Plaintext>();
    integers_->encode(std::vector<std::int64_t>(values.begin(), values.end()), *plain);
    return plain;
}

void Engine::decode_integers(const Plaintext &plain, rust::Slice<std::int64_t> values) const
{
    std::vector<std::int64_t> list;
    integers_->decode(plain, list);
    if (list.size() != values.size()) {
        throw std::invalid_argument("not as many values as slots");
    }
    std::copy(list.begin(), list.end(), values.begin());
}

std::unique_ptr<Ciphertext> Engine::encrypt(const Public &key, const Plaintext &plain) const
{
    auto to = std::make_unique<Ciphertext>();
    key.encryptor->encrypt(plain, *to);
    return to;
}

std::unique_ptr<Ciphertext> Engine::encrypt_secretly(
    const Secret &key, const Plaintext &plain) const
{
    auto to = std::make_unique<Ciphertext>();
    key.encryptor->encrypt_symmetric(plain, *to);
    return to;
}

std::unique_ptr<Plaintext> Engine::decrypt(const Secret &key, const Ciphertext &a) const
{
    auto to = std::make_unique<Plaintext>();
    key.decryptor->decrypt(a, *to);
    return to;
}

std::unique_ptr<Ciphertext> Engine::add(const Ciphertext &a, const Ciphertext &b) const
{
    auto to = std::make_unique<Ciphertext>();
    evaluator_->add(a, b, *to);
    return to;
}

std::unique_ptr<Ciphertext> Engine::add_plain(const Ciphertext &a, const Plaintext &b) const
{
    auto to = std::make_unique<Ciphertext>();
    evaluator_->add_plain(a, b, *to);
    return to;
}

std::unique_ptr<Ciphertext> Engine::multiply_plain(const Ciphertext &a, const Plaintext &b) const
{
    auto to = std::make_unique<Ciphertext>();
    evaluator_->multiply_plain(a, b, *to);
    return to;
}

std::unique_ptr<Ciphertext> Engine::multiply(const Ciphertext &a, const Ciphertext &b) const
{
    auto to = std::make_unique<Ciphertext>();
    evaluator_->multiply(a, b, *to);
    return to;
}

std::unique_ptr<Ciphertext> Engine::relinearise(const Ciphertext &a, const RelinKeys &key) const
{
    auto to = std::make_unique<Ciphertext>();
    evaluator_->relinearize(a, key, *to);
    return to;
}

std::unique_ptr<Ciphertext> Engine::rescale(const Ciphertext &a) const
{
    auto to = std::make_unique<Ciphertext>();
    evaluator_->rescale_to_next(a, *to);
    return to;
}

std::unique_ptr<Ciphertext> Engine::drop_last(const Ciphertext &a) const
{
    auto to = std::make_unique<Ciphertext>();
    evaluator_->mod_switch_to_next(a, *to);
    return to;
}

std::unique_ptr<Ciphertext> Engine::rotate(
    const Ciphertext &a, std::int32_t steps, const GaloisKeys &keys) const
{
    auto to = std::make_unique<Ciphertext>();
    if (encoder_) {
        evaluator_->rotate_vector(a, steps, keys, *to);
    } else {
        evaluator_->rotate_rows(a, steps, keys, *to);
    }
    return to;
}

void Engine::forward(rust::Slice<std::uint64_t> words, std::size_t modulus) const
{
    seal::util::ntt_negacyclic_harvey(words.data(), tables(words.size(), modulus));
}

void Engine::inverse(rust::Slice<std::uint64_t> words, std::size_t modulus) const
{
    seal::util::inverse_ntt_negacyclic_harvey(words.data(), tables(words.size(), modulus));
}

std::unique_ptr<Secret> Engine::read_secret(rust::Slice<const std::uint8_t> bytes) const
{
    return std::make_unique<Secret>(context_, load<seal::SecretKey>(context_, bytes));
}

std::unique_ptr<Public> Engine::read_public(rust::Slice<const std::uint8_t> bytes) const
{
    return std::make_unique<Public>(context_, load<seal::PublicKey>(context_, bytes));
}

std::unique_ptr<RelinKeys> Engine::read_relinearisation(
    rust::Slice<const std::uint8_t> bytes) const
{
    return moved(load<RelinKeys>(context_, bytes));
}

std::unique_ptr<GaloisKeys> Engine::read_rotations(rust::Slice<const std::uint8_t> bytes) const
{
    return moved(load<GaloisKeys>(context_, bytes));
}

std::unique_ptr<Ciphertext> Engine::read_ciphertext(rust::Slice<const std::uint8_t> bytes) const
{
    return moved(load<Ciphertext>(context_, bytes));
}

std::size_t most_bytes(const Secret &it, std::uint8_t mode)
{
    return size_of(it.key, mode);
}

std::size_t most_bytes(const Public &it, std::uint8_t mode)
{
    return size_of(it.key, mode);
}

std::size_t most_bytes(const RelinKeys &it, std::uint8_t mode)
{
    return size_of(it, mode);
}

std::size_t most_bytes(const GaloisKeys &it, std::uint8_t mode)
{
    return size_of(it, mode);
}

std::size_t most_bytes(const Ciphertext &it, std::uint8_t mode)
{
    return size_of(it, mode);
}

std::size_t write(const Secret &it, std::uint8_t mode, rust::Slice<std::uint8_t> bytes)
{
    return save(it.key, mode, bytes);
}

std::size_t write(const Public &it, std::uint8_t mode, rust::Slice<std::uint8_t> bytes)
{
    return save(it.key, mode, bytes);
}

std::size_t write(const RelinKeys &it, std::uint8_t mode, rust::Slice<std::uint8_t> bytes)
{
    return save(it, mode, bytes);
}

std::size_t write(const GaloisKeys &it, std::uint8_t mode, rust::Slice<std::uint8_t> bytes)
{
    return save(it, mode, bytes);
}

std::size_t write(const Ciphertext &it, std::uint8_t mode, rust::Slice<std::uint8_t> bytes)
{
    return save(it, mode, bytes);
}

} // namespace nexus_seal
