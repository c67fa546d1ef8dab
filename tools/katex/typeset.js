// A line is a JSON list of formulas in LaTeX, and is answered by one of HTML. The argument is the folder of node_modules.
const katex = require(require.resolve("katex", { paths: [process.argv[2]] }));
const options = {
  strict: (code) => (code === "htmlExtension" ? "ignore" : "error"),
  trust: (context) => context.command === "\\htmlData",
};
const typeset = (latex) => {
  try {
    return { html: katex.renderToString(latex, options) };
  } catch (error) {
    return { error: error.message };
  }
};
const lines = require("readline").createInterface({ input: process.stdin });
lines.on("line", (line) => console.log(JSON.stringify(JSON.parse(line).map(typeset))));
