//! Simplified Chinese.

use super::Texts;

pub(in crate::learn) static ZH: Texts = Texts {
    list_head: "课文各章，所有数字都在本机上现场计算：",
    list_tail: "striate learn neuron --lang zh 显示一章；加上 -o DIR 还会写出该章的图片。",
    step: "步",
    loss: "损失",
    val_loss: "验证损失",
    epoch: "轮次",
    layer: "层",
    layers: "层数",
    first: "首层",
    last: "末层",
    class: "类别",
    answer: "回答",
    right: "正确",
    level: "程度",
    operator: "运算",
    output: "输出",
    parameters: "参数个数",
    multiplications: "乘加次数",
    probability: "概率",
    by_hand: "手算",
    by_engine: "Striate 计算",
    difference: "差",
    red: "红",
    yellow: "黄",
    green: "绿",
    go: "走",
    stop: "停",

    neuron_title: "红绿灯前的一个神经元",
    neuron_intro: "神经元把每个输入乘以一个权重，相加后再加上偏置，最后通过激活函数：",
    neuron_weights: "输入是红、黄、绿三盏灯：亮为 1，灭为 0。内置网络 neuron 的权重是\n\
                     {0}（红）、{1}（黄）和 {2}（绿），偏置是 {3}。\n\
                     当 net > 0，也就是 a > 0.5 时，回答是“走”。",
    neuron_sum: "权重 * 灯 + 偏置",
    neuron_six: "红绿灯的六个回答",
    neuron_both: "路口不会同时亮红灯和绿灯。如果偏要问它，它会说：",
    neuron_training: "训练",
    neuron_start: "现在另一个神经元从完全相反的参数开始：权重 {0}、{1} 和 {2}，偏置 {3}。\n\
                   梯度下降来纠正它，每一步都用上面全部 {5} 行数据，学习率为 {4}：",
    neuron_learnt: "{0} 步之后，回答正确的有 {1}：绿灯的权重是 {2}，红灯是 {3}，\n\
                    黄灯是 {4}，偏置是 {5}。这些权重不是谁选定的，\n\
                    它们只由样本和代价函数决定。",
    neuron_weights_curve: "权重和偏置",

    backprop_title: "手算反向传播",
    backprop_intro: "一个网络有 2 个输入、3 个隐藏神经元和 2 个输出，激活函数都是 sigmoid。\n\
                     它看到一个样本：x = {0}，期望的输出是 y = {1}。",
    backprop_forward: "1. 前向传播：逐层计算加权和与激活值",
    backprop_output: "2. 输出层的误差",
    backprop_hidden: "3. 误差经过权重向后传播",
    backprop_gradients: "4. 偏置和权重的梯度",
    backprop_compare: "双精度手算的结果，旁边是训练时计算的梯度（striate trace 写出的也是它）：",
    backprop_end: "最大的差是 {0}，来自单精度的舍入。",

    activations_title: "激活函数及其导数",
    activations_intro: "激活函数使加权和 z 变成非线性的；没有它，许多层合起来也只相当于一层。\n\
                        误差反向传播时，每经过一层就要乘以它的导数。",
    activations_end: "sigmoid 的导数最大只有 {0}，在 z = 5 处只剩 {1}。tanh 的导数最大为 {2}，\n\
                      在 z = 5 处是 {3}。ReLU 在 z > 0 时让误差完整通过（{4}），\n\
                      否则完全不通过（{5}）；leaky ReLU 在那里保留 {6}。",
    activations_values: "激活函数",
    activations_slopes: "导数",

    vanishing_title: "梯度消失",
    vanishing_intro: "2 到 20 层的网络，每层 {0} 个神经元，看一遍 {1} 个随机样本（{2} 类，种子 {3}）。\n\
                      sigmoid 和 tanh 用 Xavier 初始权重，ReLU 用 Kaiming 初始权重。\n\
                      误差每经过一层都要乘以一次导数：",
    vanishing_depths: "首层和末层梯度的范数",
    vanishing_layers: "{0} 层网络中各层梯度的范数",
    vanishing_first: "首层梯度的范数",
    vanishing_end: "从一层到后一层，范数平均乘以 {0}（sigmoid）、{1}（tanh）和 {2}（ReLU）。\n\
                    如果远大于 1，前面的层就几乎学不到东西。",

    digits_title: "识别图像的网络：784-15-10",
    digits_intro: "28 x 28 个像素各是一个输入，15 个隐藏神经元都看到全部像素，\n\
                   10 个输出代表各个类别：共有 {0} 个权重和偏置。\n\
                   训练使用 {1} 幅图像，数据集是 {2}。",
    digits_training: "训练",
    digits_top1: "正确率",
    digits_scores: "“正确率”按 {0} 幅验证图像计算，训练时没有用过它们。\n\
                    输出最大的类别就是回答。",
    digits_example: "第一幅验证图像",
    digits_truth: "它的类别是：{0}。各输出为：",
    digits_end: "digits.png（加上 -o DIR）把 15 个隐藏神经元的权重画成图像：\n\
                 灰色为 0，亮的像素使神经元兴奋，暗的像素抑制它。",

    convolution_title: "一步一步看卷积",
    convolution_intro: "3 x 3 的卷积核在 5 x 5 的图像上滑动。\n\
                        在每个位置，核下的 9 个像素与权重相乘再相加：",
    convolution_steps: "九步",
    convolution_sum: "权重 * 像素，逐行",
    convolution_end: "这一层只有 {0} 个权重，所有位置共用，共做 {1} 次乘法。\n\
                      从 25 个像素到 9 个输出的全连接层则有 {2} 个权重。",

    alexnet_title: "逐层看 AlexNet",
    alexnet_intro: "网络 {0} 有 {1} 个参数。\n\
                    一幅图像的前向传播需要 {2} 次乘加。",
    alexnet_towers: "两座塔",
    alexnet_split: "{0} 这几层分成 {1} 组：每一半通道只看到前一层的同一半。\n\
                    因此 2012 年的网络可以放在两块 GPU 上，只在其余的层交换数据。",
    alexnet_whole: "这个网络的卷积没有分组。",
    alexnet_shares: "全连接层占参数的 {0}，卷积层占乘加的 {1}。",
    alexnet_filters: "第一层的滤波器",
    alexnet_trained: "alexnet-filters.png（加上 -o DIR）显示第一层（{0}），\n\
                      权重来自 {1}。",
    alexnet_initial: "alexnet-filters.png（加上 -o DIR）显示第一层（{0}）。\n\
                      这些是初始权重（种子 {1}），只是没有规律的噪声；\n\
                      用 --weights FILE 可以看到训练的结果。",
    alexnet_answers: "前五个回答",
    alexnet_image: "对 {0} 的前五个回答：",

    robustness_title: "旋转、缩放、改变光照",
    robustness_intro: "网络 {0} 反复回答 {1} 幅图像（数据集 {2}），\n\
                       每次以一种方式改变图像。还有多少回答是正确的？",
    robustness_end: "robustness.svg（加上 -o DIR）画出这些曲线，robustness.png 显示一幅图像\n\
                     旋转、缩放和改变光照后的样子，下面是前三个回答。",
    rotation: "旋转（度）",
    scale: "大小（倍）",
    brightness: "亮度（倍）",
    contrast: "对比度（倍）",
    blur: "模糊（标准差，像素）",
    noise: "噪声（标准差，满值 255）",
    occlusion: "遮挡（面积比例）",
};
