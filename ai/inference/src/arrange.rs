//! In which slots the hidden numbers of a convolutional network are.
//!
//! A convolution is a matrix with few diagonals if a step of its window is the same rotation
//! everywhere. In the order of an image, `[height, width, channels]`, it is not as soon as the window
//! moves by more than one, for then rows and channels of the result are other distances apart than
//! those of the image. So a result stays where the image was, with gaps as wide as the steps, and
//! other channels lie in the gaps: the multiplexed packing of Lee et al. 2022 (ePrint 2021/1688),
//! which Orion chooses layer by layer (Ebel, Garimella & Reagen 2023, arXiv:2311.03470). Here it is no
//! more than an order of numbers; matrices and what becomes of their numbers stay the same.

use nexus_he::circuit::{Affine, Plan, PlanError, Stage};
use nexus_he::{HeError, Layout, Matrix, Route};
use nexus_models::{LayerSpec, Network, Real};

/// An image that the numbers between two layers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    shape: [usize; 3],
    /// Pixels of the input from one of its pixels to the next: the product of all steps.
    step: usize,
}

/// Rows of pixels with slots between them.
#[derive(Clone, Copy, Debug)]
struct Grid {
    /// Slots from a pixel to the next.
    pixel: usize,
    /// Slots from a row to the next.
    line: usize,
    /// Slots of all rows: a power of two.
    all: usize,
    /// Pixels of the input from one of its pixels to the next.
    step: usize,
}

/// The image before each layer, and the one after the last: none where numbers are no image.
pub(crate) fn images<T: Real>(network: &Network<T>) -> Vec<Option<Image>> {
    let shape = |layer| <[usize; 3]>::try_from(network.shape_before(layer)).ok();
    let mut image = shape(0).map(|shape| Image { shape, step: 1 });
    let mut all = vec![image];
    for (layer, spec) in network.spec().layers.iter().enumerate() {
        let after = |step: usize| {
            let step = image?.step.checked_mul(step)?;
            shape(layer + 1).map(|shape| Image { shape, step })
        };
        image = match *spec {
            LayerSpec::Conv2d { stride, .. }
            | LayerSpec::AvgPool { stride, .. }
            | LayerSpec::MaxPool { stride, .. } => after(stride),
            LayerSpec::Linear { .. } | LayerSpec::LoraLinear { .. } => after(1),
            LayerSpec::Embedding { .. } => None,
            LayerSpec::Relu
            | LayerSpec::Gelu
            | LayerSpec::Tanh
            | LayerSpec::Polynomial { .. }
            | LayerSpec::LayerNorm { .. }
            | LayerSpec::Dropout { .. }
            | LayerSpec::Flatten
            | LayerSpec::Rescale { .. } => image,
        };
        all.push(image);
    }
    all
}

impl Grid {
    /// That of an input with each number `run` times in a row.
    fn of_input(image: &Image, run: usize) -> Option<Self> {
        let [height, width, channels] = image.shape;
        let pixel = channels.checked_mul(run)?;
        let line = width.checked_mul(pixel)?;
        Self { pixel, line, all: line.checked_mul(height)?, step: image.step }.whole()
    }

    /// An image channel by channel, without gaps.
    fn of_channels(image: &Image) -> Option<Self> {
        let [height, width, _] = image.shape;
        Self { pixel: 1, line: width, all: height.checked_mul(width)?, step: image.step }.whole()
    }

    fn whole(self) -> Option<Self> {
        Some(Self { all: self.all.checked_next_power_of_two()?, ..self })
    }

    /// The slots of an image on it, if it has room: pixels are at their places in the image that the
    /// grid was made for, channels in the gaps, row by row, and the rest of them on further grids.
    fn places(&self, image: &Image) -> Option<Vec<usize>> {
        let [height, width, channels] = image.shape;
        let down = image.step / self.step;
        let right = down.checked_mul(self.pixel)?;
        let room = width.checked_mul(right)? <= self.line
            && height.checked_mul(down)?.checked_mul(self.line)? <= self.all;
        if !room || down == 0 || !image.step.is_multiple_of(self.step) {
            return None;
        }
        let gaps = down * right;
        let of = |channel: usize| {
            let gap = channel % gaps;
            channel / gaps * self.all + gap / right * self.line + gap % right
        };
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
        let slots = pixels.flat_map(|(y, x)| {
            let pixel = y * down * self.line + x * right;
            (0..channels).map(move |channel| pixel + of(channel))
        });
        Some(slots.collect())
    }
}

/// Matrices, one after the other, each as cheap as it is after those before.
struct Way {
    cost: usize,
    /// Where the last product is.
    layout: Layout,
    /// Arrangements of all products; none for the natural order.
    chosen: Vec<Option<Layout>>,
}

/// The stages with hidden numbers where matrices are cheapest; nothing if that is their natural
/// order, which the last ones keep. `images` are what each stage gives, `input` what the first one
/// takes; its numbers stay in the order that users know.
///
/// # Errors
/// [`PlanError`] if the stages have no plan in whatever order.
pub(crate) fn arranged(
    stages: &[Stage],
    images: &[Option<Image>],
    input: Option<Image>,
) -> Result<Option<Vec<Stage>>, PlanError> {
    let matrices: Vec<usize> =
        (0..stages.len()).filter(|at| matrix(&stages[*at]).is_some()).collect();
    let (Some(input), [_, _, ..]) = (input, &matrices[..]) else { return Ok(None) };
    let slots = Plan::slots(stages)?;
    let (mut grids, mut ways) = (Vec::new(), Vec::new());
    let width = input.shape.iter().product::<usize>();
    for run in (0..=(slots / width.next_power_of_two()).ilog2()).map(|log| 1 << log) {
        grids.extend(Grid::of_input(&input, run));
        ways.push(Way { cost: 0, layout: Layout::runs(width, run, slots)?, chosen: Vec::new() });
    }
    for (&at, matrix) in matrices.iter().zip(stages.iter().filter_map(matrix)) {
        let image = images[at].filter(|_| matrices.last() != Some(&at));
        grids.extend(image.as_ref().and_then(Grid::of_channels));
        let price = |way: &Way, order: Option<&Layout>| {
            let price = Route::price(matrix, order, &way.layout, slots, at + 1 == stages.len())?;
            Ok::<_, HeError>(way.cost + depth(&stages[at..]) * price.weight())
        };
        let orders = orders(&grids, image.as_ref(), slots).into_iter();
        let next = orders.map(|order| {
            let costs = ways.iter().map(|way| Ok((price(way, order.as_ref())?, way)));
            let costs = costs.collect::<Result<Vec<_>, HeError>>()?;
            let best = costs.into_iter().min_by_key(|(cost, _)| *cost);
            let (cost, way) = best.ok_or(HeError::Exhausted)?;
            let layout = order.clone().map_or_else(|| Layout::runs(matrix.rows(), 1, slots), Ok)?;
            Ok(Way { cost, layout, chosen: [&way.chosen[..], &[order]].concat() })
        });
        ways = next.collect::<Result<_, HeError>>()?;
    }
    let best = ways.into_iter().min_by_key(|way| way.cost);
    let chosen = best.map(|way| way.chosen).filter(|it| it.iter().any(Option::is_some));
    Ok(chosen.map(|chosen| placed(stages, chosen)).transpose()?)
}

/// The orders that the numbers of an image may have, the natural one first.
fn orders(grids: &[Grid], image: Option<&Image>, slots: usize) -> Vec<Option<Layout>> {
    let mut orders = vec![None];
    for places in grids.iter().filter_map(|grid| grid.places(image?)) {
        // What needs more slots would need a larger ring.
        let order = Layout::places(&places, slots).ok();
        if !orders.contains(&order) {
            orders.push(order);
        }
    }
    orders
}

/// The stages with the products of matrices in these orders.
fn placed(stages: &[Stage], orders: Vec<Option<Layout>>) -> Result<Vec<Stage>, HeError> {
    let mut orders = orders.into_iter();
    stages
        .iter()
        .map(|stage| match stage {
            Stage::Affine(affine) => {
                let Some(order) = orders.next().flatten() else { return Ok(stage.clone()) };
                let matrix = affine.matrix().clone().arranged(order)?;
                Ok(Stage::Affine(Affine::new(matrix, affine.bias().to_vec())?))
            }
            Stage::Polynomial(_) => Ok(stage.clone()),
        })
        .collect()
}

/// Multiplications after each other.
fn depth(stages: &[Stage]) -> usize {
    let one = |stage: &Stage| match stage {
        Stage::Affine(_) => 1,
        Stage::Polynomial(polynomial) => polynomial.depth(),
    };
    stages.iter().map(one).sum()
}

fn matrix(stage: &Stage) -> Option<&Matrix> {
    match stage {
        Stage::Affine(affine) => Some(affine.matrix()),
        Stage::Polynomial(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use nexus_he::Polynomial;
    use nexus_he::circuit::{Cost, Limits};
    use nexus_models::{Loss, ModelSpec};
    use nexus_types::Seed;
    use proptest::prelude::*;
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;
    use crate::task::argmax;
    use crate::{Activation, Approximation, Client, Compiled, Server, Task};

    const CUBIC: [f64; 4] = [0.1, 0.5, 0.3, -0.05];

    fn conv(channels: usize, kernel: usize, stride: usize, padding: usize) -> LayerSpec {
        LayerSpec::Conv2d { channels, kernel, stride, padding }
    }

    fn linear(outputs: usize) -> LayerSpec {
        LayerSpec::Linear { outputs, bias: true }
    }

    /// A model with a polynomial in place of every activation.
    struct Model {
        network: Network<f64>,
        weights: Vec<f64>,
        coefficients: Vec<f64>,
        compiled: Compiled,
    }

    impl Model {
        fn new(input: [usize; 3], layers: Vec<LayerSpec>, coefficients: &[f64]) -> Self {
            let loss = Loss::SoftmaxCrossEntropy;
            let spec = ModelSpec { version: 1, input: input.to_vec(), layers, loss };
            let network = Network::<f64>::new(&spec).unwrap();
            let weights = network.initial(&Seed::from_number(3));
            let coefficients = coefficients.to_vec();
            let layers = spec.layers.iter().enumerate().filter(|(_, it)| **it == LayerSpec::Relu);
            let approximation = |layer| Approximation {
                layer,
                function: Activation::Relu,
                range: 2.0,
                coefficients: coefficients.clone(),
            };
            let all: Vec<_> = layers.map(|(layer, _)| approximation(layer)).collect();
            let compiled = Compiled::new(&network, &weights, &all).unwrap();
            Self { network, weights, coefficients, compiled }
        }

        fn at(&self, row: &[f64]) -> Vec<f64> {
            let polynomial = Polynomial::new(self.coefficients.clone()).unwrap();
            let layers = self.network.spec().layers.iter().enumerate();
            layers.fold(row.to_vec(), |x, (at, layer)| {
                if *layer == LayerSpec::Relu {
                    return x.iter().map(|x| polynomial.at(x / 2.0)).collect();
                }
                self.network.through(at..at + 1, &self.weights, &x, 1).unwrap()
            })
        }

        fn plan(&self) -> Plan {
            self.compiled.plan(&Limits::default()).unwrap()
        }

        /// Costs in natural order and in that of the plan.
        fn costs(&self) -> [Cost; 2] {
            let natural = Plan::new(self.compiled.stages(), &Limits::default()).unwrap();
            [*natural.cost(), *self.plan().cost()]
        }
    }

    fn rows(model: &Model, count: usize, seed: u64) -> Vec<Vec<f64>> {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let mut number = |_| f64::from(rng.next_u32() >> 16) / 65_536.0;
        (0..count).map(|_| (0..model.network.inputs()).map(&mut number).collect()).collect()
    }

    fn same(got: &[f64], expected: &[f64]) -> Result<(), TestCaseError> {
        prop_assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(expected) {
            prop_assert!((got - expected).abs() < 1e-9, "{} for {}", got, expected);
        }
        Ok(())
    }

    fn small(stride: usize) -> Model {
        let pool = LayerSpec::AvgPool { kernel: 2, stride: 2 };
        let first = [conv(4, 3, 1, 0), LayerSpec::Relu, pool, conv(8, 3, stride, 0)];
        let rest = [LayerSpec::Relu, LayerSpec::Flatten, linear(10)];
        Model::new([16, 16, 1], [first.to_vec(), rest.to_vec()].concat(), &CUBIC)
    }

    /// The network of `TenSEAL`'s MNIST tutorial.
    fn tutorial() -> Model {
        let layers = vec![
            conv(4, 7, 3, 0),
            LayerSpec::Relu,
            LayerSpec::Flatten,
            linear(64),
            LayerSpec::Relu,
            linear(10),
        ];
        Model::new([28, 28, 1], layers, &[0.0, 0.0, 1.0])
    }

    #[test]
    fn small_networks_need_few_rotations() {
        for (stride, most) in [(1, [34, 108]), (2, [29, 73])] {
            let model = small(stride);
            let [natural, arranged] = model.costs();
            // 54 rotations and 289 products in natural order with a step of 1, 45 and 161 with one of 2.
            assert!(arranged.rotations <= most[0] && arranged.products <= most[1], "{arranged:?}");
            assert!(20 * arranged.rotations <= 13 * natural.rotations, "{natural:?}");
            assert!(20 * arranged.products <= 10 * natural.products, "{natural:?}");
            assert!(20 * arranged.transforms <= 14 * natural.transforms, "{natural:?}");
            for row in rows(&model, 3, 1) {
                same(&model.plan().at(&row).unwrap(), &model.at(&row)).unwrap();
            }
        }
        let [natural, arranged] = tutorial().costs();
        assert!(arranged.transforms < natural.transforms, "{arranged:?}");
    }

    #[test]
    fn an_order_decides_whether_colours_fit() {
        let layers = vec![
            conv(8, 3, 2, 1),
            LayerSpec::Relu,
            conv(16, 3, 2, 1),
            LayerSpec::Relu,
            LayerSpec::Flatten,
            linear(10),
        ];
        let model = Model::new([32, 32, 3], layers, &CUBIC);
        let [natural, cost] = model.costs();
        // 121 rotations and 1146 products in natural order.
        assert!(cost.rotations <= 50 && cost.products <= 193, "{cost:?}");
        assert!(2 * cost.key_bytes < natural.key_bytes, "{natural:?}");
        let limits = Limits { key_bytes: cost.key_bytes, ..Limits::default() };
        let natural = Plan::new(model.compiled.stages(), &limits).map(|_| ());
        assert!(matches!(natural, Err(PlanError::Large { .. })), "{natural:?}");
        model.compiled.plan(&limits).unwrap();
        let row = &rows(&model, 1, 1)[0];
        same(&model.plan().at(row).unwrap(), &model.at(row)).unwrap();
        // What does not fit in any order is refused as it is in the natural one.
        let none = Limits { key_bytes: 1000, ..limits };
        let refused = model.compiled.plan(&none).map(|_| ()).unwrap_err();
        let natural = Plan::new(model.compiled.stages(), &none).map(|_| ()).unwrap_err();
        assert_eq!(refused.to_string(), natural.to_string());
    }

    #[test]
    fn what_is_no_image_stays_in_order() {
        let network = Network::<f64>::new(&ModelSpec::mlp(20, &[16], 3)).unwrap();
        assert_eq!(images(&network), vec![None; 4]);
        let small = images(&small(2).network);
        let image = |side, channels, step| Some(Image { shape: [side, side, channels], step });
        let convolved = [image(16, 1, 1), image(14, 4, 1), image(14, 4, 1), image(7, 4, 2)];
        assert_eq!(small[..4], convolved);
        assert_eq!(small[4..], [image(3, 8, 4), image(3, 8, 4), image(3, 8, 4), None]);
    }

    #[test]
    fn channels_lie_in_the_gaps() {
        let input = Image { shape: [4, 4, 1], step: 1 };
        let grid = Grid::of_input(&input, 1).unwrap();
        let halved = |channels| Image { shape: [2, 2, channels], step: 2 };
        let places = [0, 1, 4, 5, 16, 2, 3, 6, 7, 18, 8, 9, 12, 13, 24, 10, 11, 14, 15, 26];
        assert_eq!(grid.places(&halved(5)), Some(places.to_vec()));
        let doubled = Grid::of_input(&input, 2).unwrap().places(&halved(5)).unwrap();
        assert_eq!(doubled[..10], [0, 1, 2, 3, 8, 4, 5, 6, 7, 12]);
        // What is larger than the grid has no place on it.
        assert_eq!(grid.places(&Image { shape: [5, 4, 1], step: 1 }), None);
        assert_eq!(grid.places(&Image { shape: [4, 5, 1], step: 1 }), None);
        assert_eq!(Grid::of_channels(&halved(5)).unwrap().places(&input), None);
    }

    #[test]
    fn encrypted_images_are_answered_as_in_the_clear() {
        for model in [small(1), tutorial()] {
            let mut rng = ChaCha12Rng::seed_from_u64(5);
            let task = Task::Classes((0..10).map(|class| class.to_string()).collect());
            let server = Server::new(&model.plan(), model.network.hash(), task, 1).unwrap();
            let client = Client::new(server.description().clone(), &mut rng).unwrap();
            let keys = server.register(&client.keys(&mut rng).unwrap()).unwrap();
            for row in rows(&model, 3, 6) {
                #[expect(clippy::cast_possible_truncation, reason = "numbers of 16 bits")]
                let narrow: Vec<f32> = row.iter().map(|it| *it as f32).collect();
                let question = client.question(&narrow, &mut rng).unwrap();
                let answer = server.answer(keys, &question, &mut rng).unwrap();
                let (got, clear) = (client.prediction(&answer).unwrap().outputs, model.at(&row));
                assert_eq!(argmax(&got), argmax(&clear), "{got:?} for {clear:?}");
                assert!(got.iter().zip(&clear).all(|(a, b)| (a - b).abs() < 1e-3), "{got:?}");
            }
        }
    }

    fn layer() -> impl Strategy<Value = LayerSpec> {
        prop_oneof![
            3 => (1usize..5, 1usize..4, 1usize..3, 0usize..2).prop_map(
                |(channels, kernel, stride, padding)| conv(channels, kernel, stride, padding.min(kernel - 1))
            ),
            1 => (1usize..3, 1usize..3)
                .prop_map(|(kernel, stride)| LayerSpec::AvgPool { kernel, stride }),
            1 => (1usize..5).prop_map(linear),
            2 => Just(LayerSpec::Relu),
            1 => Just(LayerSpec::Rescale { centre: 0.25, factor: 2.0 }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn an_order_changes_no_answer(
            height in 6usize..12, width in 6usize..12, channels in 1usize..5,
            middle in prop::collection::vec(layer(), 1..5), flat in any::<bool>(),
        ) {
            let mut layers = vec![conv(channels, 3, 1, 1), LayerSpec::Relu];
            layers.extend(middle);
            if flat {
                layers.extend([LayerSpec::Flatten, linear(3)]);
            }
            let input = vec![height, width, channels];
            let loss = Loss::SoftmaxCrossEntropy;
            let spec = ModelSpec { version: 1, input, layers: layers.clone(), loss };
            // Windows may be larger than what is left of an image.
            prop_assume!(Network::<f64>::new(&spec).is_ok());
            prop_assume!(layers.iter().filter(|it| **it == LayerSpec::Relu).count() < 4);
            let model = Model::new([height, width, channels], layers, &[0.1, 0.5, 0.3]);
            let Ok(plan) = model.compiled.plan(&Limits::default()) else { return Ok(()) };
            for row in rows(&model, 2, 1) {
                same(&plan.at(&row).unwrap(), &model.at(&row))?;
            }
        }
    }
}
