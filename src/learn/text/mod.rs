//! The sentences of the chapters: one file for each language. A sentence that a language lacks does not compile. `{0}`, `{1}`, ...
//! stand for numbers; lines are broken by hand at 78 columns, where a Chinese letter takes two.

mod en;
mod zh;

pub(super) use en::EN;
pub(super) use zh::ZH;

macro_rules! texts {
    ($($name:ident)*) => {
        /// The sentences of one language.
        #[derive(Debug)]
        pub(super) struct Texts {
            $(pub $name: &'static str,)*
        }

        #[cfg(test)]
        impl Texts {
            /// Every sentence with its name.
            fn all(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

texts! {
    list_head list_tail
    step loss val_loss epoch layer layers first last class answer right level operator output parameters
    multiplications probability by_hand by_engine difference red yellow green go stop
    neuron_title neuron_intro neuron_weights neuron_sum neuron_six neuron_both neuron_training neuron_start
    neuron_learnt neuron_weights_curve
    backprop_title backprop_intro backprop_forward backprop_output backprop_hidden backprop_gradients
    backprop_compare backprop_end
    activations_title activations_intro activations_end activations_values activations_slopes
    vanishing_title vanishing_intro vanishing_depths vanishing_layers vanishing_first vanishing_end
    digits_title digits_intro digits_training digits_top1 digits_scores digits_example digits_truth digits_end
    convolution_title convolution_intro convolution_steps convolution_sum convolution_end
    alexnet_title alexnet_intro alexnet_towers alexnet_split alexnet_whole alexnet_shares alexnet_filters
    alexnet_trained alexnet_initial alexnet_answers alexnet_image
    robustness_title robustness_intro robustness_end rotation scale brightness contrast blur noise occlusion
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    /// The numbers in braces, in order.
    fn places(text: &str) -> Vec<&str> {
        let mut places: Vec<&str> =
            text.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0)).collect();
        places.sort_unstable();
        places
    }

    #[test]
    fn both_languages_say_the_same_numbers_in_80_columns() {
        for ((name, en), (_, zh)) in EN.all().into_iter().zip(ZH.all()) {
            assert_eq!(places(en), places(zh), "{name}");
            for text in [en, zh] {
                assert!(
                    !text.trim().is_empty() && text.lines().all(|line| line.width() <= 80),
                    "{name}: {text}"
                );
            }
            // Terms such as softmax stay; sentences are translated.
            assert!(en != zh, "{name}: {en}");
            assert!(zh.chars().any(|c| c >= '\u{2e80}'), "{name}: {zh}");
        }
    }
}
