// Work that can wait: done piece by piece while nothing else is to be done, and at once before the page is printed.
const Idle = (() => {
  const SLICE = 12;
  const waiting = [];
  let isRunning = false;
  document.documentElement.dataset.ready = "yes";

  function run(until) {
    while (waiting.length && performance.now() < until) waiting.shift()();
  }

  function slice() {
    run(performance.now() + SLICE);
    isRunning = waiting.length > 0;
    if (isRunning) setTimeout(slice);
    else document.documentElement.dataset.ready = "yes";
  }

  function later(work) {
    waiting.push(work);
    delete document.documentElement.dataset.ready;
    if (!isRunning) setTimeout(slice);
    isRunning = true;
  }

  const now = () => run(Infinity);
  addEventListener("beforeprint", now);
  return { later, now };
})();
