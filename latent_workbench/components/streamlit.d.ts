/** Written into entry.js by Python: the addresses of a component's modules, its own first. */
declare const MODULES: string[];

/** How Streamlit calls a component; Python mounts them with a list of one. */
interface ComponentCall<Data> {
  parentElement: HTMLElement;
  data: [Data];
  setStateValue: (name: string, value: unknown) => void;
  setTriggerValue: (name: string, value: unknown) => void;
}
