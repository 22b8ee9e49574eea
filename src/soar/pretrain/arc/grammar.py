"""The probabilistic grammar of the embedded model's programs: idioms with weights, one to four per program.

It is a hand-written prior: its author knows what ARC tasks are like. No idiom is made for a single task, and none is
taken from a human's program for one. Knows programs as text only; nothing is run here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from soar.domains.arc.program_text import wrap
from soar.pretrain.arc import grammar_block as block
from soar.pretrain.arc import grammar_boxes as boxes
from soar.pretrain.arc import grammar_cells as cells
from soar.pretrain.arc import grammar_colour as colour
from soar.pretrain.arc import grammar_growth as growth
from soar.pretrain.arc import grammar_lines as lines
from soar.pretrain.arc import grammar_motion as motion
from soar.pretrain.arc import grammar_objects as objects
from soar.pretrain.arc import grammar_relations as relations
from soar.pretrain.arc import grammar_rows as rows
from soar.pretrain.arc import grammar_rules as rules
from soar.pretrain.arc import grammar_shape as shape
from soar.pretrain.arc import grammar_windows as windows
from soar.pretrain.arc.grammar_draw import Draw, Palette

Idiom = Callable[[Draw], str]
"""Draws one step of a program: statements at the left margin that read and assign ``g``."""

# The order matters as well: in another, the same seed draws other programs.
WEIGHTS: Mapping[Idiom, float] = {
    colour.recolour: 3,
    colour.recolour_mask: 2,
    colour.recolour_by_table: 2,
    colour.swap_colours: 1.5,
    colour.reverse_colours: 0.8,
    colour.keep_colour: 1.5,
    colour.common_colour: 1.5,
    colour.one_colour: 0.5,
    colour.paint_all: 1.5,
    colour.headers: 1,
    colour.edge_agreement: 1,
    colour.count_cells: 1.2,
    colour.histogram: 1,
    colour.colours_in_order: 1,
    colour.yes_or_no: 0.6,
    colour.number_of_colours: 1,
    shape.turn: 3,
    shape.shift: 1.2,
    shape.shift_colour: 1,
    shape.tile: 1.2,
    shape.enlarge: 1.5,
    shape.stack_two: 2,
    shape.stack_four: 1.5,
    shape.stack_turned: 0.6,
    shape.stack_three: 0.8,
    shape.crop: 2,
    shape.third: 0.7,
    shape.thin_out: 1,
    shape.shrink: 1,
    shape.pad: 1.2,
    shape.frame: 1,
    shape.symmetrise: 3,
    shape.hidden_part: 1.2,
    shape.symmetrise_somewhere: 1.2,
    shape.skew: 0.5,
    shape.self_product: 1.3,
    shape.sort_lines: 1.2,
    shape.drop_repeats: 1.2,
    shape.drop_lines: 1.2,
    shape.repeat_lines: 1,
    shape.fill_period: 1.5,
    shape.continue_period: 0.8,
    block.combine_halves: 5,
    block.overlay_halves: 1.5,
    block.copy_half: 1,
    block.choose_part: 1.5,
    block.overlay_parts: 1.2,
    block.thirds: 0.8,
    block.cell_per_block: 1.2,
    block.fill_blocks: 1.2,
    block.fill_most_block: 1,
    block.shared_blocks: 0.5,
    block.colour_per_block: 0.5,
    block.copy_to_empty: 0.6,
    cells.holes: 3.5,
    cells.inside_or_outside: 1.2,
    cells.outside: 1.2,
    cells.flood: 1.5,
    cells.spread: 2,
    cells.biggest_square: 0.6,
    cells.dilate: 3,
    cells.dilate_twice: 0.5,
    cells.dilate_colours: 1,
    cells.erode: 1.5,
    cells.opening: 2,
    cells.pattern: 1,
    cells.neighbours: 2,
    cells.denoise: 1,
    cells.distance_rings: 1.2,
    cells.nearest_colour: 0.8,
    cells.stamp: 1,
    lines.through_cells: 4,
    lines.two_figures: 1.2,
    lines.rows_and_columns: 2.5,
    lines.empty_lines: 1.5,
    lines.running_maximum: 1.5,
    lines.shadow: 1.5,
    lines.between: 2,
    lines.between_pairs: 1.5,
    lines.meet_in_the_middle: 0.5,
    lines.ray: 1.5,
    lines.stripes: 2,
    lines.stripes_from: 0.5,
    lines.gravity: 2,
    lines.slide: 1,
    lines.slide_objects: 0.8,
    lines.diagonal_copy: 1,
    lines.join_cells: 0.6,
    objects.choose: 6,
    objects.choose_by_size: 2,
    objects.by_size: 4,
    objects.by_rank: 1.2,
    objects.by_order: 0.8,
    objects.paint_if: 5,
    objects.colour_within: 1.5,
    objects.boxes: 3,
    objects.boxes_bigger: 1.2,
    objects.count_objects: 1.5,
    objects.most_objects: 0.8,
    objects.in_a_row: 1,
    objects.overlay_objects: 1,
    objects.crop_mask: 4,
    objects.colour_boxes: 1,
    objects.choose_colour_box: 1.2,
    objects.for_each_colour: 1.2,
    objects.copy_shape: 0.6,
    objects.touching: 1,
    rows.each_line: 3,
    rows.line_from_mark: 2.5,
    rules.if_grid: 2,
    rules.against_itself: 2,
    rules.regions: 2.5,
    rules.background: 2.5,
    rules.from_marker: 1.5,
    windows.block_facts: 2,
    windows.sandwiched: 1.5,
    windows.windows: 2,
    rules.colours_that: 2,
    rules.seeds: 1.5,
    rules.legend: 1.5,
    rules.orientation: 1.5,
    windows.corners: 1.2,
    windows.automaton: 1,
    rules.repair_period: 1.2,
    rows.crossing_lines: 1.2,
    rules.match_objects: 1.2,
    windows.best_window: 1,
    rows.insert_lines: 0.8,
    rows.common_line: 0.8,
    windows.biggest_rectangle: 0.8,
    motion.approach: 1,
    motion.by_measure: 2,
    motion.reflect_beside: 1.2,
    motion.segments: 0.7,
    motion.tile_alternate: 1.2,
    motion.cell_patterns: 0.7,
    motion.small_pieces: 1.5,
    motion.centre_lines: 1,
    motion.move_if: 1.5,
    motion.change_if: 3,
    motion.symmetrise_box: 1.5,
    growth.next_line: 2.5,
    growth.carry: 2,
    boxes.around_boxes: 2,
    boxes.in_each_box: 2,
    growth.classes: 1.5,
    growth.arms: 1.5,
    boxes.panels: 2,
    growth.images_about: 1.5,
    boxes.halo: 1.2,
    boxes.absorb: 1.5,
    growth.waves: 1.2,
    growth.equal_steps: 1.2,
    growth.wallpaper: 1.5,
    boxes.nested: 1.2,
    boxes.by_turns: 1,
    growth.gaps: 1.2,
    boxes.repeat_object: 1.2,
    growth.from_list: 1,
    boxes.sized: 1,
    growth.from_one_line: 1,
    growth.turning_line: 0.7,
    growth.go_on: 0.8,
    growth.bounce: 0.8,
    boxes.placed_copies: 1,
    growth.reflect: 1,
    boxes.stretch: 0.6,
    growth.walk: 0.5,
    relations.nearest_object: 1.5,
    relations.like_one: 1.5,
    relations.by_repetition: 1.5,
    motion.move_to: 1.5,
    relations.corridor: 1.2,
    motion.point: 1,
    motion.lean: 1.2,
    relations.containers: 2,
    relations.pass_on: 0.8,
    relations.seen_from: 1.2,
    relations.sketch: 1.2,
    relations.map_of_objects: 1,
    relations.pair_key: 1,
    relations.ordered: 1,
    relations.clusters: 1.2,
    relations.touch_count: 1.2,
    relations.chain: 1,
    motion.mirror_about_mark: 1,
    motion.pack: 0.8,
}
"""How likely each idiom is to be the next step, up to a factor. The one table of the prior."""

STEPS = (0.48, 0.33, 0.14, 0.05)
"""How likely programs of one, two, three and four steps are."""

IDIOMS: Mapping[str, Idiom] = {f"{idiom.__module__.rpartition('_')[2]}.{idiom.__name__}": idiom for idiom in WEIGHTS}
"""The idioms by name, ``file.function``."""

_NAMES = tuple(IDIOMS)
_PRIOR = tuple(float(weight) for weight in WEIGHTS.values())


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a program: an idiom's name and the statements it drew."""

    idiom: str
    text: str


def body(steps: tuple[Step, ...]) -> str:
    """Return the body of the program that does these steps in order."""
    return "\n".join(step.text for step in steps)


def program(steps: tuple[Step, ...]) -> str:
    """Return the whole program that does these steps in order."""
    return wrap(body(steps))


class Grammar:
    """Draws programs for a palette. `weights` replaces the prior's weights, in the order of `IDIOMS`."""

    def __init__(self, weights: tuple[float, ...] = _PRIOR) -> None:
        self._marks = tuple(accumulate(weights))

    def step(self, palette: Palette, rng: np.random.Generator) -> Step:
        """Return one step of an idiom drawn by weight."""
        mark = rng.random() * self._marks[-1]
        return draw_step(_NAMES[int(np.searchsorted(self._marks, mark, side="right"))], palette, rng)

    def steps(self, palette: Palette, rng: np.random.Generator) -> tuple[Step, ...]:
        """Return the steps of a program, one to four."""
        count = 1 + int(np.searchsorted(np.cumsum(STEPS)[:-1], rng.random(), side="right"))
        return tuple(self.step(palette, rng) for _ in range(count))


def draw_step(idiom: str, palette: Palette, rng: np.random.Generator) -> Step:
    """Return a step of the idiom of this name."""
    return Step(idiom, IDIOMS[idiom](Draw(palette, rng)))
