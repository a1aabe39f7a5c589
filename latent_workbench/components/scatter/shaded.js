// Points painted by the graphics card: what moves is a few numbers, not a million points.

import { element } from "../shared/elements.js";
import { MARKS_IN_GLSL, radiusOf } from "./marks.js";

const VERTEX = `#version 300 es
uniform vec3 center;
uniform mat3 rotation;    // columns: what an axis's unit is across, upwards and towards the eye
uniform vec2 scale, offset; // from the plane to clip space
uniform vec2 pixels;      // of the canvas
uniform float radius;     // of the points in space, 0 in a plane
uniform float size;
uniform bool faded;
in vec3 position;
in vec4 color;
in float mark;
out vec4 paint;
flat out int kind;
void main() {
  vec3 seen = rotation * (position - center);
  float near = radius > 0.0 ? clamp((seen.z / radius + 1.0) / 2.0, 0.0, 1.0) : 1.0;
  float alpha = color.a * (radius > 0.0 ? 0.4 + 0.6 * near : 1.0);
  bool wanted = color.a > 0.0 && (color.a < 0.5) == faded;
  // Marks lie on whole pixels, as those do that are written.
  vec2 clip = seen.xy * scale + offset;
  vec2 at = floor(vec2(clip.x + 1.0, 1.0 - clip.y) * 0.5 * pixels + 0.5) + 0.5;
  vec2 snapped = vec2(at.x / pixels.x * 2.0 - 1.0, 1.0 - at.y / pixels.y * 2.0);
  gl_Position = wanted ? vec4(snapped, 1.0 - 2.0 * near, 1.0) : vec4(2.0, 2.0, 2.0, 1.0);
  gl_PointSize = size;
  paint = vec4(color.rgb * alpha, alpha);
  kind = int(mark + 0.5);
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 paint;
flat in int kind;
uniform float reach; // half the mark over half the square that it lies in
out vec4 pixel;
${MARKS_IN_GLSL}
void main() {
  if (!within(kind, (2.0 * gl_PointCoord - 1.0) / reach)) discard;
  pixel = paint;
}`;

// What computes shaders on the processor says so: writing the pixels oneself is quicker.
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/** @typedef {import("./renderer.js").Scene} Scene */

export class Shaded {
  canvas = element("canvas");
  /** Those that the card has. @type {Float32Array} */
  numbers = new Float32Array();
  /** @type {Uint32Array} */
  words = new Uint32Array();
  lost = false;

  /** @param {WebGL2RenderingContext} gl @param {HTMLCanvasElement} canvas */
  constructor(gl, canvas) {
    this.canvas = canvas;
    this.gl = gl;
    this.program = linked(gl);
    gl.useProgram(this.program);
    this.buffers = { position: gl.createBuffer(), color: gl.createBuffer(), mark: gl.createBuffer() };
    canvas.addEventListener("webglcontextlost", () => {
      this.lost = true;
    });
  }

  /** Null where there is none, or one that is slower than writing the pixels oneself. */
  static where() {
    const canvas = element("canvas");
    const gl = canvas.getContext("webgl2", {
      failIfMajorPerformanceCaveat: true,
      antialias: false,
      premultipliedAlpha: true,
    });
    const about = gl?.getExtension("WEBGL_debug_renderer_info");
    if (!gl || (about && SOFTWARE.test(gl.getParameter(about.UNMASKED_RENDERER_WEBGL)))) return null;
    try {
      return new Shaded(gl, canvas);
    } catch {
      return null; // a driver that compiles nothing
    }
  }

  /**
   * As `Stamped.paint`; all points are there at once.
   *
   * @param {Scene} scene
   * @param {number} width
   * @param {number} height
   * @param {number} scale
   */
  paint(scene, width, height, scale) {
    const { gl } = this;
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    this.upload(scene);
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    this.place(scene, width, height, scale);
    const count = scene.look.words.length;
    for (const faded of scene.look.faded ? [1, 0] : [0]) {
      gl.uniform1i(this.uniform("faded"), faded);
      gl.drawArrays(gl.POINTS, 0, count);
      gl.clear(gl.DEPTH_BUFFER_BIT); // what is not faded lies above
    }
    return 0;
  }

  /** @param {Scene} scene */
  upload({ space, numbers, look }) {
    const { gl, buffers } = this;
    if (numbers !== this.numbers) {
      this.numbers = numbers;
      this.fill(buffers.position, numbers, "position", space ? 3 : 2, gl.FLOAT, false);
    }
    if (look.words !== this.words) {
      this.words = look.words;
      this.fill(buffers.color, look.words, "color", 4, gl.UNSIGNED_BYTE, true);
      const mark = gl.getAttribLocation(this.program, "mark");
      if (look.shapes) this.fill(buffers.mark, look.shapes, "mark", 1, gl.UNSIGNED_BYTE, false);
      else if (mark >= 0) {
        gl.disableVertexAttribArray(mark);
        gl.vertexAttrib1f(mark, 0);
      }
    }
  }

  /**
   * @param {WebGLBuffer | null} buffer
   * @param {AllowSharedBufferSource} data
   * @param {string} name
   * @param {number} size
   * @param {number} type
   * @param {boolean} normalized
   */
  fill(buffer, data, name, size, type, normalized) {
    const { gl } = this;
    const at = gl.getAttribLocation(this.program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, type, normalized, 0, 0);
  }

  /** @param {Scene} scene @param {number} width @param {number} height @param {number} scale */
  place({ viewport, space, look }, width, height, scale) {
    const { gl } = this;
    const [sx, sy] = [(2 * viewport.across * scale) / width, (2 * viewport.upwards * scale) / height];
    const middle = space ? space.center : [viewport.x, viewport.y, 0];
    const offset = space ? [-viewport.x * sx, -viewport.y * sy] : [0, 0];
    gl.uniform3f(this.uniform("center"), middle[0], middle[1], middle[2]);
    const rotation = space ? space.rotation().flat() : [1, 0, 0, 0, 1, 0, 0, 0, 1];
    gl.uniformMatrix3fv(this.uniform("rotation"), false, rotation);
    gl.uniform2f(this.uniform("scale"), sx, sy);
    gl.uniform2f(this.uniform("offset"), offset[0], offset[1]);
    gl.uniform2f(this.uniform("pixels"), width, height);
    gl.uniform1f(this.uniform("radius"), space ? space.radius : 0);
    const half = radiusOf(look.words.length) * scale;
    const size = 2 * Math.floor(half) + 1;
    gl.uniform1f(this.uniform("size"), size);
    gl.uniform1f(this.uniform("reach"), (2 * half) / size);
    if (space) gl.enable(gl.DEPTH_TEST);
    else gl.disable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
  }

  /** @param {string} name */
  uniform(name) {
    return this.gl.getUniformLocation(this.program, name);
  }

  /** A browser has few contexts; the next page may want this one. */
  close() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

/** @param {WebGL2RenderingContext} gl */
function linked(gl) {
  const program = gl.createProgram();
  for (const [type, source] of [
    /** @type {const} */ ([gl.VERTEX_SHADER, VERTEX]),
    /** @type {const} */ ([gl.FRAGMENT_SHADER, FRAGMENT]),
  ]) {
    const shader = gl.createShader(type);
    if (!shader) throw new Error("no shader");
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) ?? "");
  return program;
}
