"""Wrong answers to the exercises of lesson 5, and what their checks must say."""


def convolve(window, height="n - k + 1", width="m - j + 1"):
    return f"""
def convolve(image, kernel):
    (n, m), (k, j) = image.shape, kernel.shape
    result = np.zeros(({height}, {width}))
    for a, b in np.ndindex(*result.shape):
        window = image[a : a + k, b : b + j]
        result[a, b] = {window}
    return result
"""


def side(expression):
    return f"def side(length, size, stride, padding):\n    return {expression}\n"


WRONG = [
    ("check_convolve", convolve("(window * kernel[::-1, ::-1]).sum()"), "The kernel is turned around"),
    ("check_convolve", convolve("window.sum()"), "not weighed"),
    ("check_convolve", convolve("(window * kernel).mean()"), "That is a mean"),
    ("check_convolve", convolve("image[a, b] * kernel.sum()"), r"x stays at \[i, j\]"),
    ("check_convolve", convolve("(window * kernel).max()"), "Multiply the window"),
    ("check_convolve", convolve("(window * kernel.T).sum()"), "the numbers are not. Multiply|ValueError"),
    ("check_convolve", convolve("(window * kernel).sum()", "n - k", "m - j"), r"give \(5, 5\), not .*not n - k"),
    ("check_convolve", convolve("0", "n", "m"), r"give \(8, 8\), not \(6, 6\).*stays within the image"),
    ("check_convolve", "def convolve(image, kernel):\n    return (image[:3, :3] * kernel).sum()\n", "one number"),
    ("check_convolve", "def convolve(image, kernel):\n    return image * kernel\n", "ValueError"),
    ("check_convolve", "def convolve(image, kernel):\n    image.sum()\n", "it returns None"),
    ("check_convolve", "def convolve(image, kernel):\n    return [[1.0], [1.0, 2.0]]\n", "ValueError"),
    ("check_convolve", "def convolve(image, kernel):\n    return 'edges'\n", r"give \(\), not"),
    ("check_lower", "lower = [[-1, -1, -1], [0, 0, 0], [1, 1, 1]]\n", "a lower edge gives -3.0, .* change all signs"),
    ("check_lower", "lower = [[1, 0, -1]] * 3\n", "edge gives 3.0, not 0. .*rows and columns exchanged"),
    ("check_lower", "lower = [[1, 1, 1], [0, 0, 0], [0, 0, 0]]\n", "plain ink gives 3.0, not 0"),
    ("check_lower", "lower = [[0] * 3] * 3\n", "a kernel of zeros"),
    ("check_lower", "lower = [[1, -2, 1], [0, 0, 0], [0, 0, 0]]\n", "edge gives -1.0, not 0"),
    ("check_lower", "lower = [1, 0, -1]\n", r"the shape of lower is \(3,\)"),
    ("check_lower", "lower = 'down'\n", "ValueError"),
    ("check_lower", "lower = None\n", "lower is None. It should be 3 rows"),
    ("check_side", side("(length + 2 * padding - size) // stride"), "kernel starts counts too"),
    ("check_side", side("(length + 2 * padding - size) / stride + 1"), r"side\(.*\) gives \d\.5, .*instead of /"),
    ("check_side", side("(length + padding - size) // stride + 1"), "padding counts twice"),
    ("check_side", side("length + 2 * padding - size + 1"), "divide"),
    ("check_side", side("(length + 2 * padding - size + 1) // stride"), "Divide first|counts too"),
    ("check_side", side("length"), "gives 4, the layer has 2.|How often can it move on"),
    ("check_side", side("length / 0"), "ZeroDivisionError"),
    ("check_side", side("None"), "it returns None"),
]
