from lucidlite.optim import Optimizer


class SignedMomentum(Optimizer):
    r"""Follow the sign of a mean of the gradients, all elements at one speed.

        (1)  m_t = β m_{t-1} + (1 - β) ∇f_t
        (2)  s_t = \operatorname{sign}(m_t)
        (3)  θ_t = θ_{t-1} - γ s_t

    where θ is `p`, ∇f is `g`, γ is `lr` and β is `beta`. The state is `exp_avg` (m).
    """

    state_names = ("exp_avg",)

    def __init__(self, params, lr: float = 0.01, beta: float = 0.9):
        super().__init__(params, locals())

    @staticmethod
    def rule(math):
        def signed_momentum(p, g, m, lr, beta, rest_beta):
            m = beta * m + rest_beta * g  # (1)
            s = math.sign(m)  # (2)
            p = p - lr * s  # (3)
            return p, m

        return signed_momentum
