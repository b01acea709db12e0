//! A brush over a picture: what it paints white is made anew. With keys too: arrows move it, space paints.

use super::desk;
use crate::desk::{Desk, Which};
use leptos::{ev, html::Canvas, prelude::*};
use wasm_bindgen::{JsCast, prelude::wasm_bindgen};
use web_sys::HtmlCanvasElement;

#[wasm_bindgen]
extern "C" {
    /// What draws on a canvas.
    type Context;

    #[wasm_bindgen(method, setter, js_name = fillStyle)]
    fn set_fill_style(this: &Context, colour: &str);
    #[wasm_bindgen(method, setter, js_name = strokeStyle)]
    fn set_stroke_style(this: &Context, colour: &str);
    #[wasm_bindgen(method, setter, js_name = lineWidth)]
    fn set_line_width(this: &Context, pixels: f64);
    #[wasm_bindgen(method, setter, js_name = lineCap)]
    fn set_line_cap(this: &Context, cap: &str);
    #[wasm_bindgen(method, js_name = fillRect)]
    fn fill_rect(this: &Context, x: f64, y: f64, width: f64, height: f64);
    #[wasm_bindgen(method, js_name = beginPath)]
    fn begin_path(this: &Context);
    #[wasm_bindgen(method, js_name = moveTo)]
    fn move_to(this: &Context, x: f64, y: f64);
    #[wasm_bindgen(method, js_name = lineTo)]
    fn line_to(this: &Context, x: f64, y: f64);
    #[wasm_bindgen(method)]
    fn stroke(this: &Context);
}

/// A step of the arrow keys, as a share of the picture.
const STEP: f64 = 0.05;

/// A place on the picture, as shares of its width and height.
type Spot = (f64, f64);

/// The brush, and what it has in hand; a copy is the same brush.
#[derive(Clone, Copy)]
struct Hand {
    desk: Desk,
    canvas: NodeRef<Canvas>,
    /// Its width, in per cent of the picture's longer side.
    percent: RwSignal<f64>,
    /// Where the pointer was last, while it paints.
    pointer: RwSignal<Option<Spot>>,
    /// Where the keys have moved it.
    keys: RwSignal<Option<Spot>>,
}

impl Hand {
    fn canvas(self) -> Option<HtmlCanvasElement> {
        self.canvas.get_untracked()
    }

    /// What was painted on nothing is painted on black.
    fn begin(self) {
        let clean = self.desk.inputs.with_untracked(|inputs| inputs.mask.is_none());
        if let Some(canvas) = self.canvas().filter(|_| clean) {
            fill(&canvas, "#000");
        }
    }

    fn paint(self, from: Spot, to: Spot) {
        if let Some(canvas) = self.canvas() {
            stroke(&canvas, from, to, self.percent.get_untracked() / 100.0);
        }
    }

    /// The stroke has ended: the mask is what the canvas shows.
    fn keep(self) {
        self.pointer.set(None);
        self.desk.painted(self.canvas().and_then(|canvas| canvas.to_data_url().ok()));
    }

    fn down(self, event: &ev::PointerEvent) {
        event.prevent_default();
        let Some(canvas) = self.canvas() else { return };
        // A pointer that is gone already cannot be held.
        let _ = canvas.set_pointer_capture(event.pointer_id());
        let at = spot(&canvas, event);
        self.begin();
        self.paint(at, at);
        self.pointer.set(Some(at));
    }

    fn drag(self, event: &ev::PointerEvent) {
        if let (Some(from), Some(canvas)) = (self.pointer.get_untracked(), self.canvas()) {
            let at = spot(&canvas, event);
            self.paint(from, at);
            self.pointer.set(Some(at));
        }
    }

    fn up(self) {
        if self.pointer.get_untracked().is_some() {
            self.keep();
        }
    }

    fn press(self, event: &ev::KeyboardEvent) {
        let at = self.keys.get_untracked().unwrap_or((0.5, 0.5));
        match moved(at, &event.key()) {
            Some(next) => self.keys.set(Some(next)),
            None if event.key() == " " => {
                self.begin();
                self.paint(at, at);
                self.keep();
            }
            None => return,
        }
        event.prevent_default();
    }

    fn all(self) {
        if let Some(canvas) = self.canvas() {
            fill(&canvas, "#fff");
            self.keep();
        }
    }

    fn clear(self) {
        if let Some(canvas) = self.canvas() {
            fill(&canvas, "#000");
            self.desk.painted(None);
        }
    }
}

/// The brush's canvas and its settings. White is made anew; the canvas is blended so that black shows the picture.
#[component]
pub fn Brush() -> impl IntoView {
    let desk = desk();
    let (canvas, percent) = (NodeRef::new(), RwSignal::new(12.0));
    let hand = Hand { desk, canvas, percent, pointer: RwSignal::default(), keys: RwSignal::default() };
    let size = Memo::new(move |_| desk.input(Which::Picture).map_or((0, 0), |input| (input.width, input.height)));
    view! {
        <div class="over">
            <canvas node_ref=canvas class="brush" data-testid="brush" tabindex="0" role="application"
                aria-label="Brush: paint what is to be made anew. Arrow keys move it, space paints."
                width={move || size.get().0} height={move || size.get().1}
                on:pointerdown=move |event| hand.down(&event) on:pointermove=move |event| hand.drag(&event)
                on:pointerup=move |_| hand.up() on:pointercancel=move |_| hand.up()
                on:keydown=move |event| hand.press(&event) on:blur=move |_| hand.keys.set(None)></canvas>
            {move || hand.keys.get().map(|(x, y)| view! {
                <span class="spot" aria-hidden="true" style:left=format!("{}%", x * 100.0)
                    style:top=format!("{}%", y * 100.0)></span>
            })}
        </div>
        <Tools hand/>
    }
}

#[component]
fn Tools(hand: Hand) -> impl IntoView {
    view! {
        <div class="row tools">
            <label class="choice">
                <span>"Brush"</span>
                <input type="range" min="2" max="50" data-testid="brush-size"
                    prop:value=move || hand.percent.get().to_string()
                    on:input:target=move |event| hand.percent.set(event.target().value().parse().unwrap_or(12.0))/>
            </label>
            <button type="button" class="chip" data-testid="brush-all" on:click=move |_| hand.all()>"Paint all"</button>
            <button type="button" class="chip" data-testid="brush-clear" on:click=move |_| hand.clear()>"Clear"</button>
        </div>
    }
}

/// Where the arrow keys lead; nothing for another key.
fn moved((x, y): Spot, key: &str) -> Option<Spot> {
    let (right, down) = match key {
        "ArrowLeft" => (-STEP, 0.0),
        "ArrowRight" => (STEP, 0.0),
        "ArrowUp" => (0.0, -STEP),
        "ArrowDown" => (0.0, STEP),
        _ => return None,
    };
    Some(((x + right).clamp(0.0, 1.0), (y + down).clamp(0.0, 1.0)))
}

fn spot(canvas: &HtmlCanvasElement, event: &ev::PointerEvent) -> Spot {
    let share = |at: i32, of: i32| f64::from(at) / f64::from(of.max(1));
    (share(event.offset_x(), canvas.client_width()), share(event.offset_y(), canvas.client_height()))
}

/// Paints white from one place to another, in a width that is a share of the longer side.
fn stroke(canvas: &HtmlCanvasElement, from: Spot, to: Spot, share: f64) {
    let Some(context) = context(canvas) else { return };
    let (width, height) = (f64::from(canvas.width()), f64::from(canvas.height()));
    context.set_stroke_style("#fff");
    context.set_line_width(width.max(height) * share);
    context.set_line_cap("round");
    context.begin_path();
    context.move_to(from.0 * width, from.1 * height);
    // A line without length leaves no dot in every browser.
    context.line_to(to.0 * width + 0.01, to.1 * height);
    context.stroke();
}

fn fill(canvas: &HtmlCanvasElement, colour: &str) {
    if let Some(context) = context(canvas) {
        context.set_fill_style(colour);
        context.fill_rect(0.0, 0.0, f64::from(canvas.width()), f64::from(canvas.height()));
    }
}

fn context(canvas: &HtmlCanvasElement) -> Option<Context> {
    canvas.get_context("2d").ok().flatten().map(JsCast::unchecked_into)
}
