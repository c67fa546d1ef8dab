"""Losses as modules: one number that says how wrong a prediction is, for `backward` to start from.

`reduction` says what becomes of the single losses: "mean", "sum", or "none", which keeps them.
"""

from ..tensor import Tensor
from . import checks
from . import functional as F
from .module import Module


class _Loss(Module):
    def __init__(self, reduction="mean", **weights):
        super().__init__()
        self.reduction = checks.choice(f"{type(self).__name__}: reduction", reduction, F.REDUCTIONS)
        for name, weight in weights.items():  # buffers, so that they move with the module
            self.register_buffer(
                name, weight.detach() if isinstance(weight, Tensor) else weight if weight is None else Tensor(weight)
            )


class MSELoss(_Loss):
    """`functional.mse_loss`: the squared difference, for regression.

    >>> nn.MSELoss()(lucidlite.tensor([1.0, 2.0]), lucidlite.tensor([1.0, 4.0])).item()
    2.0
    """

    def forward(self, input_, target):
        return F.mse_loss(input_, target, self.reduction)


class L1Loss(_Loss):
    """`functional.l1_loss`: the absolute difference, which outliers impress less.

    >>> nn.L1Loss()(lucidlite.tensor([1.0, 2.0]), lucidlite.tensor([1.0, 4.0])).item()
    1.0
    """

    def forward(self, input_, target):
        return F.l1_loss(input_, target, self.reduction)


class HuberLoss(_Loss):
    """`functional.huber_loss`: squared near 0, straight beyond delta.

    >>> nn.HuberLoss()(lucidlite.tensor([1.0, 2.0]), lucidlite.tensor([1.0, 4.0])).item()
    0.75
    """

    def __init__(self, reduction="mean", delta=1.0):
        super().__init__(reduction)
        self.delta = checks.number("HuberLoss: delta", delta, 0, ends="()")

    def forward(self, input_, target):
        return F.huber_loss(input_, target, self.delta, self.reduction)


class CrossEntropyLoss(_Loss):
    """`functional.cross_entropy`: for classes; takes logits, so no softmax goes before it.

    >>> nn.CrossEntropyLoss()(lucidlite.tensor([[0.0, 1e4], [1e4, 0.0]]), lucidlite.tensor([1, 1])).item()
    5000.0
    """

    def __init__(self, weight=None, reduction="mean", ignore_index=None):
        super().__init__(reduction, weight=weight)
        self.ignore_index = ignore_index

    def forward(self, input_, target):
        return F.cross_entropy(input_, target, self.weight, self.reduction, self.ignore_index)


class NLLLoss(_Loss):
    """`functional.nll_loss`: for classes; takes log-probabilities, as LogSoftmax gives them.

    >>> nn.NLLLoss()(lucidlite.tensor([[-0.5, -2.0]]), lucidlite.tensor([1])).item()
    2.0
    """

    def __init__(self, weight=None, reduction="mean", ignore_index=None):
        super().__init__(reduction, weight=weight)
        self.ignore_index = ignore_index

    def forward(self, input_, target):
        return F.nll_loss(input_, target, self.weight, self.reduction, self.ignore_index)


class BCELoss(_Loss):
    """`functional.binary_cross_entropy`: for yes and no; takes probabilities.

    >>> nn.BCELoss()(lucidlite.tensor([1.0, 0.0]), lucidlite.tensor([1.0, 1.0])).item()
    50.0
    """

    def __init__(self, weight=None, reduction="mean"):
        super().__init__(reduction, weight=weight)

    def forward(self, input_, target):
        return F.binary_cross_entropy(input_, target, self.weight, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """`functional.binary_cross_entropy_with_logits`: for yes and no; takes logits, so no sigmoid goes before it.

    >>> nn.BCEWithLogitsLoss()(lucidlite.tensor([1e4, 1e4]), lucidlite.tensor([1.0, 0.0])).item()
    5000.0
    """

    def __init__(self, weight=None, reduction="mean", pos_weight=None):
        super().__init__(reduction, weight=weight, pos_weight=pos_weight)

    def forward(self, input_, target):
        return F.binary_cross_entropy_with_logits(input_, target, self.weight, self.pos_weight, self.reduction)
