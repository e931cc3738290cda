"""Goods and services of many trades, composed from parts so that many thousands of names come out."""

from __future__ import annotations

from dataclasses import dataclass

from .grammar import phrases


@dataclass(frozen=True)
class Trade:
    """One line of business: qualifiers and nouns that combine, packings, selling units, prices in cents."""

    name: str
    categories: tuple[str, ...]
    before: tuple[str, ...]
    nouns: tuple[str, ...]
    after: tuple[str, ...]
    units: tuple[str, ...]
    prices: tuple[int, int]


def _trade(name: str, categories: str, before: str, nouns: str, after: str, units: str, low: int, high: int) -> Trade:
    parts = [phrases(text) for text in (categories, before, nouns, after, units)]
    return Trade(name, parts[0], parts[1], parts[2], parts[3], parts[4], (low, high))


TRADES = (
    _trade(
        "food",
        "Dairy; Confections; Condiments; Grains; Bakery; Produce; Meat; Seafood; Canned goods; Spices; Pasta",
        """
        organic; smoked; dried; pickled; aged; salted; fresh; sliced; wild; roasted; sweet; spicy; Tuscan; Bavarian
        Kentish; farmhouse; stone-baked; gluten-free; frozen; Grandma's; Uncle {first}'s; {last}'s; {coined}
        Mediterranean; Nordic
        """,
        """
        cheddar; goat cheese; gouda; mozzarella; ricotta; butter; rye bread; crispbread; sourdough; oat biscuits
        shortbread; chocolate bar; nougat; marmalade; blackcurrant jam; maple syrup; honey; mustard; soy sauce
        chilli sauce; olive oil; vinegar; ravioli; gnocchi; noodles; basmati rice; red lentils; chickpeas; tofu
        dried pears; apple rings; walnuts; salmon fillet; herring; clam chowder; crab meat; sardines; prawns
        lamb shank; chicken thighs; salami; pâté; sausages; tomato passata; sauerkraut; mushrooms; black olives
        cinnamon; paprika; tea biscuits; scones; queso; tarte; knäckebröd
        """,
        "500 g; 1 kg; 250g; 12 x 200 g; family pack; 24 - 250 g pkgs.; 10 boxes x 12 pieces; 36 boxes; tin; jar",
        "kg; pack; box; case; jar; tin; each; ctn",
        120,
        9000,
    ),
    _trade(
        "drinks",
        "Beverages; Beer; Wine; Spirits; Soft drinks; Coffee; Tea",
        "{coined}; dry; sparkling; dark; pale; single origin; decaf; oak-aged; cloudy; unsweetened; {last}; "
        "{city}; old; green",
        """
        lager; stout; pale ale; cider; pinot noir; chardonnay; riesling; brandy; gin; whisky; liqueur; lemonade
        ginger beer; cola; mineral water; apple juice; orange juice; espresso beans; ground coffee; earl grey; chai
        herbal infusion; mead
        """,
        "0.75 l; 24 x 33 cl; 1 litre; 500 ml bottle; 20 bags; keg 30 L; 12 - 550 ml bottles; magnum",
        "bottle; case; crate; l; keg; each",
        150,
        12000,
    ),
    _trade(
        "hardware",
        "Fasteners; Hand tools; Power tools; Plumbing; Electrical; Locks",
        "stainless; galvanised; heavy duty; cordless; brass; zinc plated; M6; M8; insulated; {coined}; "
        "professional; adjustable; 18V",
        """
        hex bolts; wood screws; washers; wall plugs; claw hammer; spanner set; socket set; pliers; hacksaw; drill
        angle grinder; jigsaw; ball valve; copper pipe; elbow joint; pipe clamp; junction box; cable ties; padlock
        door hinge; deadbolt; ladder
        """,
        "(box of 100); 25 mm; 6 x 60; 2 m; 10 pack; 12 mm; Mk II; size L",
        "pcs; box; each; m; pack; set",
        80,
        25000,
    ),
    _trade(
        "office",
        "Paper; Writing; Filing; Printing; Desk accessories",
        "A4; recycled; self-adhesive; magnetic; blue; black; coloured; lined; {coined}; executive; ergonomic; "
        "refillable",
        """
        copy paper; ballpoint pens; highlighters; lever arch files; ring binders; envelopes; sticky notes; staplers
        staples; hole punch; paper clips; toner cartridge; ink cartridge; whiteboard; markers; notebook; desk lamp
        office chair; shredder; monitor stand; filing cabinet; laminating pouches; calculator; label rolls
        printer ribbon
        """,
        "80 gsm; pack of 12; ream; 500 sheets; 3 drawer; XL; assorted; C5",
        "pack; ream; box; each; ea",
        90,
        30000,
    ),
    _trade(
        "it",
        "Computers; Networking; Peripherals; Software licences; Storage; Cloud services",
        "{coined}; 15-inch; wireless; refurbished; gigabit; rack-mount; managed; 4K; portable; enterprise; annual",
        """
        laptop; desktop PC; server; monitor; docking station; keyboard; mouse; headset; webcam; router
        switch 24-port; access point; firewall; patch cable; SSD drive; backup tape; memory module; graphics card
        UPS; printer; software licence; support plan; hosting package; antivirus subscription; domain registration
        USB hub
        """,
        "16GB; 1TB; v{digit}; Pro; (1 year); cat6 5m; Gen {digit}; black; {digit} users",
        "each; licence; unit; pcs; month",
        900,
        220000,
    ),
    _trade(
        "clothing",
        "Menswear; Womenswear; Footwear; Workwear; Accessories; Kids",
        "cotton; wool; linen; slim fit; hooded; waterproof; hi-vis; striped; navy; {last}; knitted; denim; "
        "fleece; silk",
        """
        T-shirt; polo shirt; blouse; jumper; cardigan; jacket; parka; jeans; chinos; skirt; dress; work trousers
        overalls; trainers; ankle boots; sandals; safety boots; scarf; beanie; gloves; belt; socks; pyjamas
        raincoat
        """,
        "size M; size 42; L; XL; women's 38; (3 pack); kids 8-9; S",
        "pcs; pair; each; pack",
        400,
        19000,
    ),
    _trade(
        "medical",
        "Consumables; Instruments; Protective equipment; Diagnostics; Mobility",
        "sterile; disposable; latex-free; digital; surgical; nitrile; paediatric; {coined}; elastic; single-use",
        """
        gloves; face masks; syringes; needles; bandages; gauze swabs; catheter; thermometer; stethoscope
        blood pressure monitor; test strips; scalpel blades; sutures; wheelchair; crutches; walking frame; saline
        disinfectant; specimen cups; oximeter
        """,
        "(100); 5 ml; 10 cm x 10 cm; adult; 21G; box/50; class II",
        "box; pack; each; pair; unit",
        150,
        60000,
    ),
    _trade(
        "garden",
        "Plants; Seeds; Garden tools; Outdoor living; Soil & feed; Irrigation",
        """
        perennial; hardy; climbing; dwarf; organic; cast iron; telescopic; {coined}; slow-release; wooden; petrol
        """,
        """
        rose bush; lavender; tulip bulbs; tomato seeds; box hedge; apple tree; compost; bark mulch; fertiliser
        lawn feed; spade; rake; secateurs; hedge trimmer; lawn mower; hose reel; watering can; sprinkler; planter
        parasol; bench; bird feeder; greenhouse
        """,
        "50 L; 2 litre pot; 25 m; 1.8 m; mixed; 10 kg; set of 3",
        "each; bag; pcs; tray; pack",
        150,
        45000,
    ),
    _trade(
        "automotive",
        "Brakes; Filters; Tyres; Engine; Lighting; Fluids; Workshop labour",
        "front; rear; OEM; synthetic; all-season; left; right; ceramic; halogen; {coined}; remanufactured",
        """
        brake pads; brake discs; oil filter; air filter; cabin filter; spark plugs; timing belt; water pump
        alternator; clutch kit; shock absorber; tyre; wiper blades; headlight bulb; battery; engine oil; coolant
        wheel bearing; exhaust; tie rod end; MOT test; labour brake service; wheel alignment
        """,
        "205/55 R16; 5W-30 5 L; set of 4; 12V 70Ah; 2012-18; H7; DOT 4",
        "each; set; pcs; hrs; l",
        500,
        48000,
    ),
    _trade(
        "chemicals",
        "Solvents; Acids; Cleaning agents; Resins; Pigments; Laboratory reagents",
        "technical grade; analytical grade; anhydrous; diluted; industrial; food grade; {coined}; concentrated; "
        "purified",
        """
        acetone; isopropanol; ethanol; hydrochloric acid; citric acid; caustic soda; hydrogen peroxide; epoxy resin
        titanium dioxide; degreaser; descaler; floor cleaner; glycerol; paraffin oil; ammonia solution
        sodium chloride; zinc oxide; silicone sealant
        """,
        "25 kg bag; 5 L; 200 L drum; IBC 1000 L; 99.5%; 1 L; 37%",
        "kg; drum; l; IBC; bag; can",
        300,
        90000,
    ),
    _trade(
        "furniture",
        "Living room; Bedroom; Kitchen; Lighting; Textiles",
        "oak; walnut; upholstered; folding; extendable; glass; velvet; rattan; {coined}; Scandinavian; antique",
        """
        dining table; armchair; sofa; bookcase; wardrobe; bed frame; mattress; bedside table; floor lamp
        pendant light; rug; curtain; cushion; coffee table; sideboard; bar stool; mirror; chest of drawers; desk
        shelf unit
        """,
        "160 x 90 cm; 3-seater; king size; grey; 2 doors; set of 2; 140x200",
        "each; set; pcs; pair",
        1500,
        190000,
    ),
    _trade(
        "building",
        "Timber; Cement & aggregates; Insulation; Roofing; Paint; Tiles",
        "treated; ready-mix; fire-rated; exterior; matt; porcelain; reinforced; {coined}; sharp; planed",
        """
        cement; sand; gravel; plasterboard; plywood sheet; roof tiles; mineral wool; bricks; concrete blocks
        emulsion paint; primer; floor tiles; grout; guttering; skirting board; rebar; damp-proof membrane
        window frame; fence panel; decking
        """,
        "25 kg; 2.4 m; 12.5 mm; 10 L white; m2; 600 x 600; pallet",
        "bag; m2; sheet; pcs; pallet; tonne; l",
        200,
        40000,
    ),
    _trade(
        "cosmetics",
        "Skin care; Hair care; Fragrance; Make-up; Bath",
        "{coined}; vegan; moisturising; anti-ageing; fragrance-free; rosewood; almond; nourishing; matte; travel",
        "shampoo; conditioner; day cream; night serum; hand cream; lip balm; mascara; nail varnish; eau de "
        "parfum; shower gel; soap bar; sunscreen; bath salts",
        "50 ml; 200 ml; SPF 30; refill; gift set; no. {digit}",
        "each; pcs; set; tube",
        250,
        9500,
    ),
    _trade(
        "toys",
        "Games; Books; Toys; Sports; Music; Stationery",
        """
        wooden; illustrated; inflatable; junior; vintage; {coined}; paperback; deluxe; educational
        remote-controlled
        """,
        "puzzle; board game; building blocks; doll's house; football; tennis racket; yoga mat; bicycle; helmet; "
        "tent; novel; atlas; guitar; ukulele; kite; scooter; dumbbells; chess set",
        "1000 pieces; ages 3+; 20 inch; 2nd edition; size 5; 4-person",
        "each; pcs; set; copy",
        300,
        55000,
    ),
    _trade(
        "services",
        "Consulting; Maintenance; Cleaning; Training; Design; Transport; Marketing",
        "monthly; on-site; weekly; initial; additional; emergency; remote; {month}; project; senior",
        """
        consulting; bookkeeping; boiler maintenance; window cleaning; web design; logo design; translation
        proofreading; staff training; data migration; security patrol; waste collection; lift inspection
        landscaping; photography; airport transfer; equipment hire; van hire; catering; legal advice; copywriting
        SEO work; electrical installation; call-out charge
        """,
        "per hour; (2 days); half day; phase {digit}; per visit; site B; Q{digit}",
        "hrs; hour; day; visit; month; job; days",
        2000,
        150000,
    ),
)
