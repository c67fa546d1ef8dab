"""What `Module.summary` returns: the layers of a model, what each of them returns, and the memory that this takes."""

from .. import creation, random
from ..grad_mode import no_grad
from ..tensor import Parameter, Tensor


class Summary:
    """A table when printed; `rows` has (layer, output shape, parameters, bytes) for every module, and at last the sums.

    Bytes are those of a module's own parameters and buffers and of its outputs; what is shared, passed on or a view
    counts once. The model, its buffers and the random stream are left as they were.
    """

    def __init__(self, model, input_shape, dtype=None):
        kept = [*model.named_parameters(), *model.named_buffers()]
        first = kept[0][1] if kept else creation.zeros(0)
        x = creation.zeros(input_shape, dtype=dtype or first.dtype, device=first.device)
        rows, seen, stream = {}, {id(x.data): x.data}, random.get_state()

        def measure(tensors):
            owners = {id(a): a for t in tensors for a in [t.data if t.data.base is None else t.data.base]}
            new = sum(a.nbytes for key, a in owners.items() if key not in seen)
            seen.update(owners)  # all stay alive: the id of an object that is gone may come again
            return new

        def see(module, args, output):
            outputs = [t for t in (output if isinstance(output, tuple) else (output,)) if isinstance(t, Tensor)]
            rows[module][1] = ", ".join(str(t.shape) for t in outputs)
            rows[module][3] += measure(outputs)

        for name, module in model.named_modules():
            own = [t for path, t in kept if path.rpartition(".")[0] == name]
            count = sum(t.size for t in own if isinstance(t, Parameter))
            rows[module] = [f"{name} {type(module).__name__}".strip(), "", count, measure(own)]
        before = {module: dict(vars(module)) for module in rows}
        try:
            for module in rows:
                copies = {name: b.clone() for name, b in module._own(Tensor)}
                vars(module).update(copies, training=False, _hooks={"": ("after", see, False)})
            with no_grad():
                model(x)
        finally:
            random.set_state(stream)
            for module, attributes in before.items():
                vars(module).clear()
                vars(module).update(attributes)
        sums = ("sum", "", sum(row[2] for row in rows.values()), sum(row[3] for row in rows.values()))
        self.rows = [*map(tuple, rows.values()), sums]

    def __repr__(self):
        rows = [(layer, shape, f"{count:,}", f"{size:,}") for layer, shape, count, size in self.rows]
        table = [("layer", "output shape", "parameters", "bytes"), *rows]
        a, b, c, d = (max(map(len, column)) for column in zip(*table))
        return "\n".join(f"{w:{a}}  {x:{b}}  {y:>{c}}  {z:>{d}}" for w, x, y, z in table)
