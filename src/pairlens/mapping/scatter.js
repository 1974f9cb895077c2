"use strict";
// A field of points on a canvas: some thousands of them, moved, enlarged, pointed at, and walked over by keyboard.
// It knows nothing of images: what a point looks like is drawn by `stamp`, who is told of it by `told`.
const scatter = (() => {
  const TAU = 2 * Math.PI;
  const around = (context, r, corners, turn, inner = 1) => {
    for (let i = 0; i < corners; i += 1) {
      const radius = i % 2 ? r * inner : r;
      const angle = turn + (i * TAU) / corners;
      context.lineTo(radius * Math.cos(angle), radius * Math.sin(angle));
    }
    context.closePath();
  };
  const bars = (context, r, turn) => {
    const w = r * 0.36;
    context.rotate(turn);
    context.rect(-r, -w, 2 * r, 2 * w);
    context.rect(-w, -r, 2 * w, r - w);
    context.rect(-w, w, 2 * w, r - w);
  };
  // In the order of the kinds; each is about as large as the others.
  const shapes = [
    (c, r) => c.arc(0, 0, r, 0, TAU),
    (c, r) => c.rect(-r * 0.88, -r * 0.88, r * 1.76, r * 1.76),
    (c, r) => around(c, r * 1.22, 4, 0),
    (c, r) => around(c, r * 1.25, 3, -TAU / 4),
    (c, r) => bars(c, r * 1.2, TAU / 8),
    (c, r) => around(c, r * 1.4, 10, -TAU / 4, 0.45),
    (c, r) => around(c, r * 1.25, 3, TAU / 4),
    (c, r) => bars(c, r * 1.2, 0),
    (c, r) => around(c, r * 1.1, 6, 0),
    (c, r) => { c.moveTo(-r * 1.2, -r); c.lineTo(r * 1.2, r); c.lineTo(r * 1.2, -r); c.lineTo(-r * 1.2, r); c.closePath(); },
  ];

  function make(canvas, count, hooks) {
    const context = canvas.getContext("2d");
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    let points = new Float32Array(2 * count), from = null, goal = null, began = 0, before = [1, 1], after = before;
    let view = { x: 0, y: 0, k: 1 }, extent = [1, 1], queued = false;
    let pointed = -1, chosen = -1, links = [];
    // The field's size and the pixels of one unit, read anew before points are placed: reading it for each is slow.
    let width = 1, height = 1, unit = 1;
    function measure() {
      [width, height] = [canvas.clientWidth, canvas.clientHeight];
      unit = 0.47 * view.k * Math.min(width / extent[0], height / extent[1]);
    }
    const x = (i) => width / 2 + view.x + points[2 * i] * unit;
    const y = (i) => height / 2 + view.y - points[2 * i + 1] * unit;

    function draw(now) {
      queued = false;
      const density = devicePixelRatio || 1;
      measure();
      if (!width) return;
      if (canvas.width !== Math.round(width * density) || canvas.height !== Math.round(height * density)) {
        canvas.width = Math.round(width * density);
        canvas.height = Math.round(height * density);
      }
      if (from) {
        const share = Math.min(1, (now - began) / 500), eased = share * share * (3 - 2 * share);
        for (let i = 0; i < points.length; i += 1) points[i] = from[i] + (goal[i] - from[i]) * eased;
        extent = before.map((v, axis) => v + (after[axis] - v) * eased);
        if (share >= 1) from = null;
        else again();
        measure();
      }
      context.setTransform(density, 0, 0, density, 0, 0);
      context.clearRect(0, 0, width, height);
      let drawn = 0;
      const edge = 40, one = (i, how) => {
        const px = x(i), py = y(i);
        if (px < -edge || py < -edge || px > width + edge || py > height + edge) return;
        hooks.stamp(context, i, px, py, view.k, how);
        if (how === "" || how === "faded") drawn += 1;
      };
      for (let i = 0; i < count; i += 1) if (hooks.faded(i)) one(i, "faded");
      for (let i = 0; i < count; i += 1) if (!hooks.faded(i)) one(i, "");
      if (chosen >= 0) {
        context.strokeStyle = hooks.ink();
        context.lineWidth = 1.2;
        context.globalAlpha = 0.75;
        context.beginPath();
        for (const i of links) { context.moveTo(x(chosen), y(chosen)); context.lineTo(x(i), y(i)); }
        context.stroke();
        context.globalAlpha = 1;
        for (const i of links) one(i, "near");
        one(chosen, "chosen");
      }
      if (pointed >= 0) one(pointed, "pointed");
      canvas.dataset.drawn = String(drawn);
      if (pointed >= 0) hooks.told(pointed, x(pointed), y(pointed));
    }
    function again() {
      if (!queued) { queued = true; requestAnimationFrame(draw); }
    }

    function point(i, spoken = false) {
      if (i === pointed) return;
      pointed = i;
      canvas.classList.toggle("over", i >= 0);
      canvas.dataset.pointed = String(i);
      if (i < 0) hooks.told(-1, 0, 0);
      else if (spoken) hooks.spoken(i);
      again();
    }
    function nearest(px, py, reach) {
      measure();
      let best = -1, least = reach * reach;
      for (let i = 0; i < count; i += 1) {
        const distance = (x(i) - px) ** 2 + (y(i) - py) ** 2;
        if (distance <= least && !(hooks.faded(i) && best >= 0)) { best = i; least = distance; }
      }
      return best;
    }
    function zoom(factor, px = canvas.clientWidth / 2, py = canvas.clientHeight / 2) {
      const k = Math.min(80, Math.max(0.7, view.k * factor)), grown = k / view.k;
      const dx = px - canvas.clientWidth / 2, dy = py - canvas.clientHeight / 2;
      view = { k, x: dx - (dx - view.x) * grown, y: dy - (dy - view.y) * grown };
      canvas.classList.toggle("near", k > 1.05);
      again();
    }
    function all() {
      view = { x: 0, y: 0, k: 1 };
      canvas.classList.remove("near");
      again();
    }
    function reveal(i) { // bring a point into sight
      measure();
      const margin = 30, dx = x(i), dy = y(i);
      view.x += Math.max(0, margin - dx) - Math.max(0, dx - width + margin);
      view.y += Math.max(0, margin - dy) - Math.max(0, dy - height + margin);
      again();
    }
    function walk(dx, dy) { // to the next point in a direction
      measure();
      const start = pointed >= 0 ? pointed : chosen >= 0 ? chosen : nearest(width / 2, height / 2, 1e5);
      if (pointed < 0) { point(start, true); reveal(start); return; }
      let best = -1, least = Infinity;
      for (let i = 0; i < count; i += 1) {
        const ax = x(i) - x(start), ay = y(i) - y(start);
        const along = ax * dx + ay * dy, beside = Math.abs(ax * dy) + Math.abs(ay * dx);
        if (i === start || along < 0.5 || beside > along * 1.5 || hooks.faded(i)) continue;
        const cost = along + 2 * beside;
        if (cost < least) { best = i; least = cost; }
      }
      if (best >= 0) { point(best, true); reveal(best); }
    }

    // Pointers: one moves, two enlarge; what hardly moved has chosen.
    const down = new Map();
    let moved = 0, apart = 0;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return { x: event.clientX - box.left - canvas.clientLeft, y: event.clientY - box.top - canvas.clientTop };
    };
    const gap = () => { const [a, b] = [...down.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      down.set(event.pointerId, place(event));
      if (down.size === 1) moved = 0;
      if (down.size === 2) apart = gap();
    });
    canvas.addEventListener("pointermove", (event) => {
      const at = place(event), before = down.get(event.pointerId);
      if (!before) { point(nearest(at.x, at.y, 12)); return; }
      down.set(event.pointerId, at);
      moved += Math.abs(at.x - before.x) + Math.abs(at.y - before.y);
      if (down.size === 2) {
        const [a, b] = [...down.values()], now = gap();
        zoom(now / Math.max(1, apart), (a.x + b.x) / 2, (a.y + b.y) / 2);
        apart = now;
      } else if (moved > 5) {
        point(-1);
        canvas.classList.add("moving");
        view.x += at.x - before.x;
        view.y += at.y - before.y;
        again();
      }
    });
    const up = (event) => {
      const at = down.get(event.pointerId);
      down.delete(event.pointerId);
      canvas.classList.remove("moving");
      if (event.type !== "pointerup" || !at || moved > 5) return;
      const found = nearest(at.x, at.y, event.pointerType === "touch" ? 24 : 12);
      hooks.chose(found);
    };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointerleave", () => point(-1));
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && document.activeElement !== canvas) return; // the page scrolls
      event.preventDefault();
      const at = place(event);
      zoom(Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / 180), at.x, at.y);
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const keys = {
        ArrowLeft: () => walk(-1, 0), ArrowRight: () => walk(1, 0), ArrowUp: () => walk(0, -1), ArrowDown: () => walk(0, 1),
        Enter: () => hooks.chose(pointed), " ": () => hooks.chose(pointed),
        "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), "0": all,
        Escape: () => { point(-1); hooks.chose(-1); },
      };
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
    canvas.addEventListener("blur", () => point(-1));
    new ResizeObserver(again).observe(canvas);

    return {
      zoom, all, again, reveal,
      choose(i, near) { chosen = i; links = near; canvas.dataset.chosen = String(i); again(); },
      // Show other places; points glide there unless the reader wants no motion or it is the first map.
      show(places, reach, glide) {
        from = null;
        [before, after] = [extent, reach];
        if (glide && !still.matches) { from = points.slice(); goal = places; began = performance.now(); }
        else { points = places.slice(); extent = reach; }
        again();
      },
    };
  }
  return { make, shapes };
})();
