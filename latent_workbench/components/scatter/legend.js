// What the colours mean: a choice of colouring, labels to hide, or a scale with its ends.

const MOST_CHIPS = 24; // more labels than that are named by the pointer alone

class Legend {
  constructor(onChange) {
    this.onChange = onChange;
    this.hidden = new Set();
    this.choice = element("select", { "aria-label": "Colour by" });
    this.choice.onchange = () => this.take(this.choice.value);
    this.keys = element("div", { class: "keys" });
    this.root = element("div", { class: "legend" }, [labelled("Colour by", this.choice), this.keys]);
  }

  // data: {labels: i2 or null, label_names, label_colors, palette, colourings: [{name, values: u1,
  //        low, high, unit}]}, arrays as base64.
  show(data) {
    this.data = data;
    this.labels = data.labels && fromBase64(data.labels, Int16Array);
    this.palettes = { labels: data.label_colors.map(wordOf), values: data.palette.map(wordOf) };
    const names = [...(this.labels ? ["label"] : []), ...data.colourings.map(({ name }) => name)];
    if (!names.length) names.push("one colour");
    if (this.names?.join() !== names.join()) {
      this.names = names;
      this.choice.replaceChildren(...names.map((name) => element("option", { value: name }, [name])));
    }
    this.take(names.includes(this.chosen) ? this.chosen : names[0]);
  }

  take(name) {
    this.chosen = this.choice.value = name;
    this.scale = this.data.colourings.find((each) => each.name === name);
    this.values = this.scale ? fromBase64(this.scale.values, Uint8Array) : null;
    if (this.scale) this.hidden.clear();
    this.drawKeys();
    this.onChange();
  }

  color(i) {
    if (this.values) return this.palettes.values[this.values[i]];
    const { labels } = this.palettes;
    return labels[this.labels ? Math.max(0, this.labels[i]) % labels.length : 0];
  }

  isShown(i) {
    return !this.hidden.size || !this.hidden.has(this.labels[i]);
  }

  nameOf(i) {
    if (!this.labels) return "";
    return this.data.label_names[this.labels[i]] ?? String(this.labels[i]);
  }

  drawKeys() {
    if (this.scale) {
      const { low, high, unit } = this.scale;
      const bar = element("i", { class: "bar" });
      bar.style.background = `linear-gradient(to right, ${this.data.palette.join()})`;
      this.keys.replaceChildren(low, bar, `${high}${unit ? ` ${unit}` : ""}`);
      return;
    }
    const found = this.labels ? [...new Set(this.labels)].sort((a, b) => a - b) : [];
    if (found.length > MOST_CHIPS) {
      this.keys.replaceChildren(`${found.length} labels; point at an image to see its own`);
      return;
    }
    this.keys.replaceChildren(...found.map((label) => this.chip(label)));
  }

  chip(label) {
    const name = this.data.label_names[label] ?? String(label);
    const made = button(name, `Hide or show ${name}`, () => {
      if (!this.hidden.delete(label)) this.hidden.add(label);
      made.setAttribute("aria-pressed", String(!this.hidden.has(label)));
      this.onChange();
    });
    made.className = "chip";
    made.setAttribute("aria-pressed", String(!this.hidden.has(label)));
    const { label_colors: colors } = this.data;
    made.style.setProperty("--hue", colors[Math.max(0, label) % colors.length]);
    return made;
  }
}

// "#rrggbb" as a canvas holds it: 0xAABBGGRR.
function wordOf(color) {
  const value = parseInt(color.slice(1), 16);
  return (0xff000000 | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}
