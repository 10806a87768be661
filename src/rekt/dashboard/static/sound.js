// Optional sound: a short tone for each liquidation that is shown, lower for longs, louder for larger; off at first.

const GAP_MS = 60;
let context = null;
let last = 0;
const button = document.getElementById("sound");

export function toggle() {
  if (context) { context.close(); context = null; } else { context = new AudioContext(); }
  button.setAttribute("aria-pressed", String(Boolean(context)));
  button.textContent = context ? "sound on" : "sound off";
}

export function blip(event, shown, size) {
  if (!context || !shown || size < 1 || performance.now() - last < GAP_MS) return;
  last = performance.now();
  const tone = context.createOscillator();
  const volume = context.createGain();
  tone.type = "sine";
  tone.frequency.value = (event.side === "long" ? 220 : 440) * (1 + 0.06 * size);
  volume.gain.setValueAtTime(0.02 * 2 ** (size - 1), context.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.0001, context.currentTime + 0.12 + 0.08 * size);
  tone.connect(volume).connect(context.destination);
  tone.start();
  tone.stop(context.currentTime + 0.15 + 0.08 * size);
}
button.addEventListener("click", toggle);
