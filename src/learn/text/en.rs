//! English.

use super::Texts;

pub(in crate::learn) static EN: Texts = Texts {
    list_head: "The text, chapter by chapter, with numbers computed on this machine:",
    list_tail: "striate learn neuron shows a chapter, -o DIR also writes its pictures,\n--lang zh speaks Chinese.",
    step: "step",
    loss: "loss",
    val_loss: "validation loss",
    epoch: "epoch",
    layer: "layer",
    layers: "layers",
    first: "1st",
    last: "last",
    class: "class",
    answer: "answer",
    right: "right",
    level: "level",
    operator: "operator",
    output: "output",
    parameters: "parameters",
    multiplications: "multiply-adds",
    probability: "probability",
    by_hand: "by hand",
    by_engine: "by Striate",
    difference: "difference",
    red: "red",
    yellow: "yellow",
    green: "green",
    go: "go",
    stop: "stop",

    neuron_title: "One neuron at the traffic light",
    neuron_intro: "A neuron multiplies each input by a weight, adds a bias, and passes the sum\n\
                   through an activation function:",
    neuron_weights: "The inputs are the lights red, yellow and green: 1 is lit, 0 is dark. The\n\
                     weights of the built-in network `neuron` are {0} (red), {1} (yellow) and\n\
                     {2} (green), its bias is {3}. The answer is go where net > 0, that is a > 0.5.",
    neuron_sum: "weights * lights + bias",
    neuron_six: "The six answers of the traffic light",
    neuron_both: "A crossing never shows red and green together. Asked all the same, it says:",
    neuron_training: "Training",
    neuron_start: "Now another neuron starts with everything the wrong way round: weights {0}, {1}\n\
                   and {2}, bias {3}. Gradient descent corrects it, with all {5} rows above in\n\
                   each step and the learning rate {4}:",
    neuron_learnt: "After {0} steps {1} answers are right: green pushes by {2}, red by {3},\n\
                    yellow by {4}, and the bias is {5}. No person chose these weights; they\n\
                    follow from the examples and the cost alone.",
    neuron_weights_curve: "weights and bias",

    backprop_title: "Backpropagation by hand",
    backprop_intro: "A network with 2 inputs, 3 hidden neurons and 2 outputs, all sigmoid, sees one\n\
                     example: x = {0}, and the outputs should be y = {1}.",
    backprop_forward: "1. Forward: weighted sums and activations, layer by layer",
    backprop_output: "2. The error of the output layer",
    backprop_hidden: "3. The error goes back through the weights",
    backprop_gradients: "4. The gradients of biases and weights",
    backprop_compare: "By hand in double precision, beside the gradients that training computes (the\n\
                       same that `striate trace` writes):",
    backprop_end: "The largest difference is {0}: the rounding of single precision.",

    activations_title: "Activation functions and their derivatives",
    activations_intro: "An activation bends the weighted sum z; without it, many layers would compute\n\
                        no more than one. Its derivative is the factor by which an error shrinks on its\n\
                        way back.",
    activations_end: "The sigmoid is never steeper than {0}, and at z = 5 it is only {1}. tanh\n\
                      reaches {2}, and has {3} at z = 5. ReLU passes on the whole error where\n\
                      z > 0 ({4}) and none below ({5}); the leaky ReLU keeps {6} of it there.",
    activations_values: "activation",
    activations_slopes: "derivative",

    vanishing_title: "Vanishing gradients",
    vanishing_intro: "Networks of 2 to 20 layers, {0} neurons wide, see {1} random examples of {2}\n\
                      classes once (seed {3}). Sigmoid and tanh start with Xavier's initial weights,\n\
                      ReLU with Kaiming's. The error is multiplied by a derivative in each layer:",
    vanishing_depths: "Norm of the gradient in the first and in the last layer",
    vanishing_layers: "Norm of the gradient by layer, {0} layers",
    vanishing_first: "Norm of the gradient in the first layer",
    vanishing_end: "From one layer to the layer above it the norm is multiplied, on average, by {0}\n\
                    (sigmoid), {1} (tanh) and {2} (ReLU). Far above 1 means that the first layers\n\
                    hardly learn.",

    digits_title: "A network that reads images: 784-15-10",
    digits_intro: "Each of the 28 x 28 pixels is an input, 15 hidden neurons look at all of them,\n\
                   and 10 outputs stand for the classes: {0} weights and biases. It is\n\
                   trained on {1} images of {2}.",
    digits_training: "Training",
    digits_top1: "right",
    digits_scores: "\"right\" counts the {0} validation images, which it was not trained on. The\n\
                    class with the largest output is the answer.",
    digits_example: "The first validation image",
    digits_truth: "Its class is: {0}. The outputs say:",
    digits_end: "digits.png (with -o DIR) shows the weights of the 15 hidden neurons as images:\n\
                 grey is 0, bright pixels speak for the neuron, dark ones against it.",

    convolution_title: "Convolution step by step",
    convolution_intro: "A kernel of 3 x 3 weights slides over an image of 5 x 5 pixels. At each place,\n\
                        the 9 pixels under it are multiplied by the weights and added up:",
    convolution_steps: "The nine steps",
    convolution_sum: "weights * pixels, row by row",
    convolution_end: "The layer has {0} weights, which all places share, and multiplies {1} times. A\n\
                      linear layer from 25 pixels to 9 outputs would have {2} weights.",

    alexnet_title: "AlexNet, layer by layer",
    alexnet_intro: "The network `{0}` has {1} parameters. The forward pass\n\
                    of one image takes {2} multiply-adds.",
    alexnet_towers: "Two towers",
    alexnet_split: "The layers {0} have {1} groups: each half of their channels\n\
                    sees only the same half of the layer below. So the network of 2012 could lie on\n\
                    two GPUs, which exchanged data only in the other layers.",
    alexnet_whole: "No convolution of this network is divided into groups.",
    alexnet_shares: "The linear layers hold {0} of the parameters, the convolutions do {1}\n\
                     of the multiply-adds.",
    alexnet_filters: "The filters of the first layer",
    alexnet_trained: "alexnet-filters.png (with -o DIR) shows the first layer ({0})\n\
                      of {1}.",
    alexnet_initial: "alexnet-filters.png (with -o DIR) shows the first layer ({0}).\n\
                      These are initial weights (seed {1}), noise without a pattern; with\n\
                      --weights FILE you see what training made of it.",
    alexnet_answers: "Top-5",
    alexnet_image: "The five best answers to {0}:",

    robustness_title: "Turning, zooming, relighting",
    robustness_intro: "The network `{0}` answers to {1} images of {2} again and again;\n\
                       each time they are changed in one way. How many answers are right?",
    robustness_end: "robustness.svg (with -o DIR) draws these curves, and robustness.png shows one\n\
                     image turned, zoomed and relit with the best three answers under it.",
    rotation: "Rotation, in degrees",
    scale: "Size, times",
    brightness: "Brightness, times",
    contrast: "Contrast, times",
    blur: "Blur, standard deviation in pixels",
    noise: "Noise, standard deviation of 255",
    occlusion: "Occlusion, share of the area",
};
