"""How the page looks: a Gradio theme with the system's own fonts, and the colors of the classes."""

import base64
from functools import cache
from itertools import cycle, islice

import gradio as gr
from gradio.themes import Color, sizes

from vit.figures import COLORMAP, color_table

# Tableau 10, whose neighbors stay apart for color-blind eyes; a name always stands beside the color.
CLASS_COLORS = (
    "#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#b07aa1", "#edc948", "#9c755f", "#ff9da7", "#8f9aa3",
)  # fmt: skip

BLUE = Color(
    "#eff4ff", "#dbe6fe", "#bfd3fe", "#93b4fd", "#6090fa", "#3b6ef0",
    "#2554db", "#1d44b5", "#1e3a8f", "#1e3370", "#172044",
)  # fmt: skip
GRAY = Color(
    "#f8f9fa", "#f1f3f5", "#e3e6ea", "#cdd2d8", "#9aa2ac", "#6b7480",
    "#4b535d", "#363d46", "#22272e", "#181c21", "#101317",
)  # fmt: skip


@cache
def class_colors(n: int) -> tuple[str, ...]:
    """Of classes 0 to n - 1; they come again after the tenth."""
    return tuple(islice(cycle(CLASS_COLORS), n))


def color_map(name: str = COLORMAP) -> str:
    """matplotlib's colors for 0 to 255, RGB bytes in base64: what script/color.js makes its table of."""
    return base64.b64encode(color_table(name)).decode()


def theme() -> gr.themes.Base:
    """Quiet grays, one blue, hairlines in place of shadows; light and dark from the same scale."""
    fonts = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
    mono = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")
    base = gr.themes.Base(
        primary_hue=BLUE,
        secondary_hue=BLUE,
        neutral_hue=GRAY,
        spacing_size=sizes.spacing_md,
        radius_size=sizes.radius_md,
        text_size=sizes.text_md,
        font=fonts,
        font_mono=mono,
    )
    return base.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        background_fill_primary="white",
        background_fill_primary_dark="*neutral_900",
        background_fill_secondary="*neutral_100",
        background_fill_secondary_dark="*neutral_800",
        border_color_primary="*neutral_200",
        border_color_primary_dark="*neutral_800",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_padding="0px",
        block_shadow="none",
        block_shadow_dark="none",
        block_title_text_weight="600",
        block_title_text_size="*text_md",
        block_title_text_color="*body_text_color",
        block_title_text_color_dark="*body_text_color",
        block_title_background_fill="transparent",
        block_title_background_fill_dark="transparent",
        block_title_padding="0px",
        block_info_text_color="*body_text_color_subdued",
        block_info_text_color_dark="*body_text_color_subdued",
        block_info_text_size="*text_sm",
        input_background_fill="white",
        input_background_fill_dark="*neutral_900",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        input_border_width="1px",
        input_border_width_dark="1px",
        layout_gap="20px",
        form_gap_width="20px",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_hover_dark="*primary_700",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        button_secondary_background_fill="white",
        button_secondary_background_fill_dark="*neutral_900",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_hover_dark="*neutral_800",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_700",
        button_border_width="1px",
        button_border_width_dark="1px",
        button_primary_border_color="transparent",
        button_primary_border_color_dark="transparent",
        checkbox_label_background_fill="white",
        checkbox_label_background_fill_dark="*neutral_900",
        checkbox_label_background_fill_selected="*primary_50",
        checkbox_label_background_fill_selected_dark="*primary_950",
        checkbox_label_border_color="*neutral_300",
        checkbox_label_border_color_dark="*neutral_700",
        checkbox_label_border_color_selected="*primary_600",
        checkbox_label_border_color_selected_dark="*primary_400",
        checkbox_label_border_width="1px",
        checkbox_label_border_width_dark="1px",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
    )
