"use strict";
(() => {
  const root = document.documentElement;
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const options = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false };
  // A page that is opened as a file may be refused storage.
  const kept = (area) => { try { return window[area]; } catch { return null; } };
  const recall = (area, key) => { try { return kept(area)?.getItem(key) ?? null; } catch { return null; } };
  const keep = (area, key, value) => { try { kept(area)?.setItem(key, value); } catch { /* then not */ } };

  const darkNow = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const button = document.getElementById("theme");
  const name = () => { button.textContent = darkNow() ? "Light theme" : "Dark theme"; };
  const before = recall("localStorage", "tuppence-theme");
  if (before === "light" || before === "dark") root.dataset.theme = before;
  button.hidden = false;
  name();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  button.addEventListener("click", () => {
    root.dataset.theme = darkNow() ? "light" : "dark";
    keep("localStorage", "tuppence-theme", root.dataset.theme);
    name();
  });

  const drawn = new Set();
  const draw = (place) => {
    if (drawn.has(place)) return;
    drawn.add(place);
    const { data, layout, height } = charts[place.id];
    if (height) place.style.height = `${height}px`;
    Plotly.newPlot(place, data, layout, options);
  };
  const places = [...document.querySelectorAll(".chart")];

  for (const group of document.querySelectorAll("[data-tabs]")) {
    const panels = [...group.querySelectorAll(".panel")];
    const list = document.createElement("div");
    list.className = "tabs";
    list.setAttribute("role", "tablist");
    list.setAttribute("aria-label", group.dataset.tabs);
    const tabs = panels.map((panel) => {
      const tab = document.createElement("button");
      tab.type = "button";
      tab.id = `${panel.id}-tab`;
      tab.textContent = panel.querySelector("h3").textContent;
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", panel.id);
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tab.id);
      list.append(tab);
      return tab;
    });
    const show = (chosen, focus) => {
      tabs.forEach((tab, i) => {
        tab.setAttribute("aria-selected", i === chosen);
        tab.tabIndex = i === chosen ? 0 : -1;
        panels[i].hidden = i !== chosen;
      });
      panels[chosen].querySelectorAll(".chart").forEach((place) => { draw(place); Plotly.Plots.resize(place); });
      keep("sessionStorage", `tuppence-${group.id}`, chosen);
      if (focus) tabs[chosen].focus();
    };
    tabs.forEach((tab, i) => {
      tab.addEventListener("click", () => show(i, false));
      tab.addEventListener("keydown", (pressed) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[pressed.key];
        if (step) { pressed.preventDefault(); show((i + step + tabs.length) % tabs.length, true); }
      });
    });
    panels[0].before(list);
    group.classList.add("tabbed");
    show(Math.min(Number(recall("sessionStorage", `tuppence-${group.id}`)) || 0, tabs.length - 1), false);
  }

  // One after the other, so that the first can be looked at while the others are drawn.
  const visible = places.filter((place) => !place.closest("[hidden]"));
  const next = () => {
    const place = visible.shift();
    if (!place) { root.dataset.drawn = "true"; return; }
    draw(place);
    setTimeout(next);
  };
  next();

  const PAPER_PX = 640;
  addEventListener("beforeprint", () => {
    for (const panel of document.querySelectorAll(".panel[hidden]")) { panel.hidden = false; panel.dataset.was = "hidden"; }
    for (const place of places) {
      draw(place);
      // Every pattern of a bar would be a bitmap of its own in the PDF, megabytes in all.
      if (charts[place.id].data[0].marker?.pattern) Plotly.restyle(place, { "marker.pattern.shape": "" });
      const width = place.closest(".pair") ? PAPER_PX / 2 - 20 : PAPER_PX;
      Plotly.relayout(place, { autosize: false, width });
    }
  });
  addEventListener("afterprint", () => {
    for (const place of places) {
      const { data } = charts[place.id];
      if (data[0].marker?.pattern) Plotly.restyle(place, { "marker.pattern.shape": data.map((trace) => trace.marker.pattern.shape) });
      Plotly.relayout(place, { autosize: true, width: null });
    }
    for (const panel of document.querySelectorAll("[data-was]")) { panel.hidden = true; delete panel.dataset.was; }
  });

  const every = Number(root.dataset.reload);
  const place = "tuppence-place";
  if (every) {
    const at = JSON.parse(recall("sessionStorage", place) ?? "null");
    const folds = [...document.querySelectorAll("details")];
    if (at) {
      folds.forEach((fold, i) => { fold.open = at.open.includes(i); });
      scrollTo(0, at.y);
    }
    setTimeout(() => {
      const open = folds.flatMap((fold, i) => (fold.open ? [i] : []));
      keep("sessionStorage", place, JSON.stringify({ y: scrollY, open }));
      location.reload();
    }, every * 1000);
  }
})();
