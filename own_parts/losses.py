"""Template of `train.loss`: the focal loss, for labels of which some are rare or hard.

train: {loss: own_parts.losses.focal}
"""

import tensorflow as tf

FOCUS = 2.0  # 0 is cross-entropy


def focal(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Cross-entropy times (1 - p) ** FOCUS, where p is the probability of the right label: float32 [rows].

    Lin et al., "Focal Loss for Dense Object Detection" (2017), section 3.2.

    Args:
        logits: float32 [rows, labels].
        targets: int32 [rows], the label ids.
    """
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    return (1.0 - tf.exp(-cross_entropy)) ** FOCUS * cross_entropy
