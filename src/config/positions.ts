import { parseTOML, type AST } from "toml-eslint-parser";
import { pathText, type KeyPath } from "./problem.ts";

/** `line:column` of a key or list entry, or of the nearest table above it. Loaded only when there is an error to place. */
export function createPositions(text: string): (path: KeyPath) => string | undefined {
  const positions = new Map<string, string>();
  try {
    collect(parseTOML(text, { tomlVersion: "1.1.0" }).body[0].body, [], positions);
  } catch {
    // The two readers disagree about the file: the message goes without a position.
  }
  return (path) => {
    for (let length = path.length; length > 0; length--) {
      const found = positions.get(pathText(path.slice(0, length)));
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

type Positions = Map<string, string>;

function collect(nodes: readonly (AST.TOMLKeyValue | AST.TOMLTable)[], above: KeyPath, positions: Positions): void {
  for (const node of nodes) {
    if (node.type === "TOMLTable") {
      node.resolvedKey.forEach((_, index) => note(node.resolvedKey.slice(0, index + 1), node, positions));
      collect(node.body, node.resolvedKey, positions);
      continue;
    }
    let path = above;
    for (const key of node.key.keys) {
      path = [...path, key.type === "TOMLBare" ? key.name : key.value];
      note(path, key, positions);
    }
    collectValue(node.value, path, positions);
  }
}

function collectValue(value: AST.TOMLContentNode, path: KeyPath, positions: Positions): void {
  if (value.type === "TOMLInlineTable") collect(value.body, path, positions);
  if (value.type !== "TOMLArray") return;
  value.elements.forEach((element, index) => {
    note([...path, index], element, positions);
    collectValue(element, [...path, index], positions);
  });
}

function note(path: KeyPath, { loc }: AST.TOMLNode, positions: Positions): void {
  const name = pathText(path);
  if (!positions.has(name)) positions.set(name, `${loc.start.line}:${loc.start.column + 1}`);
}
