namespace rl_tools::checkpoint::actor::first {
namespace weights::parameters_memory { alignas(float) const unsigned char memory[] = {7, 233, 164, 191, 112, 77, 202, 62, 24, 23, 220, 62, 219, 47, 50, 63, 45, 145, 151, 191, 87, 101, 41, 191};
using SPEC = matrix::Specification<float, unsigned long, 3, 2, L>; }
namespace biases::parameters_memory { alignas(float) const unsigned char memory[] = {113, 116, 223, 190, 18, 188, 149, 191, 155, 163, 222, 63};
using SPEC = matrix::Specification<float, unsigned long, 1, 3, L>; }
using A = nn::ActivationFunction::FAST_TANH; }
namespace rl_tools::checkpoint::actor::second {
namespace weights::parameters_memory { alignas(float) const unsigned char memory[] = {3, 232, 253, 190, 181, 110, 168, 62, 159, 99, 132, 190};
using SPEC = matrix::Specification<float, unsigned long, 1, 3, L>; }
namespace biases::parameters_memory { alignas(float) const unsigned char memory[] = {61, 175, 202, 63};
using SPEC = matrix::Specification<float, unsigned long, 1, 1, L>; }
using A = nn::ActivationFunction::FAST_TANH; }
