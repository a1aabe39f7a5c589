/** Written into entry.js by Python: the addresses of a component's modules, its own first. */
declare const MODULES: string[];
