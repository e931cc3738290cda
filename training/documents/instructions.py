"""Texts that tell how to do something: recipes and manuals."""

from __future__ import annotations

from .blocks import both, fields, form, line, listing, maybe, say, under
from .plan import Plan

RECIPE = Plan(
    "{dish}|{dish}|{dish}|recipe[: {dish}| for {dish}]|[grandma's|easy|quick|classic|my favourite] {dish}",
    (
        maybe(
            0.5,
            form(
                fields("""
        serves|servings|portions|makes = {n}[ people| persons|]
        cooking time|prep time|preparation|total time = {nn} minutes
        oven|oven temperature = {celsius}
        difficulty|level = [easy|medium|advanced]
        calories|kcal per serving = {nnn}
        """),
                (),
                1,
                4,
            ),
        ),
        maybe(
            0.2,
            say(
                "[A {tasty} dish for {weekday} evenings.|My mother made this every {weekday}.|Perfect for a "
                "party of {n}.]",
                1,
                1,
            ),
        ),
    ),
    (
        under(
            "[ingredients|you need|what you need|for the dough|]",
            listing(
                "{measure} {ingredient}\n{measure} {ingredient}, {prep}\n{n} {ingredient}\n[salt and pepper|a "
                "pinch of salt|{ingredient} to taste]",
                3,
                9,
                0.92,
                True,
            ),
            0.85,
        ),
        under(
            "[method|directions|instructions|preparation|how to make it|]",
            listing(
                """
        [Preheat|Heat] the oven to {celsius}.
        [Chop|Slice|Dice|Peel|Grate|Wash] the {ingredient}[ and the {ingredient}|].
        [Mix|Combine|Whisk|Beat|Stir] the {ingredient} with the {ingredient}[ until smooth| in a large bowl|].
        [Heat|Melt] the [butter|oil] in a [pan|large pot] and [fry|sauté|brown] the {ingredient} for {n} minutes.
        Add the {ingredient}[, {ingredient}|] and [simmer|cook|stir] for {nn} minutes[ over low heat|].
        [Bake|Roast] for {nn} minutes[ until golden|].
        [Season|Season to taste] with {ingredient}[, salt and pepper|].
        [Pour|Spread|Put] the [mixture|dough|batter] into a [greased tin|baking dish|bowl] [and leave to rest for \
          {nn} minutes|].
        [Serve|Serve hot|Serve cold] with {ingredient}[ and {ingredient}|].
        [Leave|Let it] [to cool|cool] [for {nn} minutes|overnight|before serving].
        [Bring to the boil|Boil] [the {ingredient}|{n} cups of water] [and drain|].
        """,
                3,
                8,
            ),
            0.85,
        ),
    ),
    untitled=0.1,
)

MANUAL = Plan(
    "[user manual|user guide|operating instructions|instruction manual|quick start guide|assembly "
    "instructions|owner's manual|installation guide][|| {appliance}|: {appliance} {code}]|{appliance} {code} "
    "[manual|user guide]|how to [install|set up|use] your {appliance}",
    (
        maybe(
            0.4,
            form(
                fields("""
        model|model no.|type = {code}
        power supply|voltage|rated power = 220-240 V|12 V|{nnnn} W
        dimensions|weight = {nn} x {nn} x {nn} cm|{weight}
        operating temperature|capacity = {n} - {nn} °C|{n} l
        """),
                (),
                2,
                4,
            ),
        ),
    ),
    (
        maybe(
            0.5,
            under(
                "[safety|safety instructions|warning|important|caution]",
                say(
                    """
        [Read|Please read] [this manual|these instructions] [carefully |]before [use|first use|operating the \
          {appliance}][ and keep them|].
        [Do not|Never] [immerse the {appliance} in water|open the housing|use the {appliance} near water|cover the \
          vents|touch hot parts].
        [Keep|Keep the {appliance}] out of [the |]reach of children.
        [Unplug|Disconnect] [the {appliance}|the power supply] before cleaning.
        Risk of [electric shock|fire|injury]: [use only original {part}s|do not use a damaged {part}].
        """,
                    1,
                    3,
                ),
                0.9,
            ),
        ),
        under(
            "[installation|getting started|set-up|operation|using your {appliance}|assembly|]",
            listing(
                """
        [Remove|Take] the {appliance} [from|out of] [the box|its packaging] and [check the contents|remove all tape].
        [Insert|Attach|Connect|Fit|Fasten] the {part} [to|into] the {part}[ until it clicks| using screws {code}|].
        [Press|Hold|Press and hold] the {part} [button |]for {n} seconds[ until the light turns green|].
        [Turn|Set|Switch] the {part} to [position {digit}|"on"|the required level|maximum].
        [Plug|Connect] the [cable|power cord] into [the {part}|a wall socket].
        [Select|Choose] [the language|"settings"|mode {digit}] [on the display|from the menu] [and confirm with OK|].
        [Wait|Let the {appliance} run] [for |]{n} minutes [before use|].
        [Fill|Empty|Clean] the {part} [up to the mark|after each use|with a soft cloth].
        [Make sure|Check] that the {part} is [closed|firmly seated|clean|switched off].
        [Download the app and|Open the app,] pair the {appliance} [via Bluetooth|with your network].
        """,
                3,
                8,
            ),
            0.75,
        ),
        maybe(
            0.5,
            under(
                "[troubleshooting|cleaning and care|maintenance|problems and solutions]",
                listing(
                    """
        [The {appliance} does not start|No power|{part} does not turn]: [check the cable|replace the fuse|charge the \
          battery|contact service].
        [The light flashes red|Error E{digit}]: [{part} blocked, remove and clean|reset the {appliance}|let it cool \
          for {nn} minutes].
        Clean the {part} [weekly|once a month] with [a damp cloth|warm water|a soft brush]; do not use \
          [solvents|abrasives].
        [Replace|Change] the {part} [every {n} months|when worn].
        """,
                    1,
                    3,
                    1.0,
                ),
                0.9,
            ),
        ),
        maybe(0.15, both(line("[Service|Customer service|Hotline]: {phone}, {web}"))),
    ),
)

PLANS: dict[str, Plan] = {
    "recipe": RECIPE,
    "user manual": MANUAL,
}
