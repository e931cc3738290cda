"""The lexicon beyond business: health, science, news, food, technology and private life."""

from __future__ import annotations

from .grammar import lines, phrases

WORLD: dict[str, tuple[str, ...]] = {
    # health
    "symptom": phrases("""
    chest pain; headache; fever; dry cough; nausea; dizziness; shortness of breath; back pain; fatigue; rash
    swelling of the ankle
    abdominal pain; blurred vision; sore throat; joint stiffness; insomnia; palpitations; weight loss; itching
    numbness in the left arm
    """),
    "disease": phrases("""
    hypertension; type 2 diabetes; asthma; bronchitis; pneumonia; migraine; gastritis; anaemia; arthritis
    urinary tract infection
    atrial fibrillation; eczema; hypothyroidism; sinusitis; lumbar disc herniation; appendicitis; sleep apnoea
    allergic rhinitis; a fracture
    """),
    "drug": lines("""
    [amoxicillin|ibuprofen|paracetamol|metformin|atorvastatin|lisinopril|omeprazole|salbutamol \
      inhaler|amlodipine|prednisolone|cetirizine|levothyroxine|doxycycline|ramipril|bisoprolol|sertraline]
    {coined}[in|ol|ine|one]
    """),
    "dose": lines("[5|10|20|25|50|75|100|250|500|850] [mg|mg|mg|mcg]"),
    "dosing": lines("""
    [1|2|one|two] [tablet|capsule]s [once|twice|three times] [daily|a day] [for {n} days|after meals|before breakfast|]
    [take|apply|inhale] [1|2] [every {digit} hours|at night|in the morning] [as needed|for {n} days|]
    {digit}-0-{digit}|{digit} ml [tds|bd|od|prn]
    """),
    "bodypart": phrases(
        "knee; abdomen; left shoulder; right hip; chest; throat; skin; lumbar spine; wrist; liver; thyroid; ankle; ear"
    ),
    "exam": phrases(
        "X-ray; ultrasound; MRI; CT scan; ECG; blood test; endoscopy; biopsy; lung function test; urine test"
    ),
    "therapy": phrases(
        "physiotherapy; rest; a low-salt diet; cold packs; surgery; counselling; exercise; compression "
        "stockings; inhalation"
    ),
    # science
    "field": phrases("""
    ecology; neuroscience; materials science; macroeconomics; oncology; climate research; linguistics
    machine learning; astronomy
    public health; soil science; organic chemistry; urban planning; social psychology; genetics; archaeology
    fluid dynamics; education
    """),
    "sciobject": lines("""
    [soil|ocean|leaf|urban|groundwater|surface] [temperature|moisture|bacteria|pollution|acidity|carbon]
    [protein folding|gene expression|cell division|insulin resistance|immune response|sleep quality|memory formation]
    [bird migration|pollinator diversity|forest growth|fish stocks|coral reefs|river sediments]
    [interest rates|household income|trade barriers|wage inequality|consumer trust|price volatility]
    [neural networks|graph algorithms|thin films|polymer membranes|battery electrodes|quantum dots|turbulent \
      flow|dark matter halos]
    [second language learning|classroom size|reading skills|social media use|voting behaviour|dietary fibre|air quality]
    """),
    "method": phrases("""
    a randomised controlled trial; regression analysis; mass spectrometry; satellite images; numerical simulation
    deep learning
    semi-structured interviews; a meta-analysis; X-ray diffraction; a longitudinal survey; agent-based models
    field experiments
    finite element analysis; Bayesian inference; genome sequencing; laser spectroscopy; case studies
    time series data; a mouse model
    """),
    "finding": lines("""
    {sciobject} [increases|decreases|declines|varies] [significantly |][with|with rising|in response to] {sciobject}
    {sciobject} [is|was] [strongly|weakly|not|positively] [correlated|associated] with {sciobject}
    [the effect|the difference] [was|is] [larger|smaller] than [expected|previously reported] [by {pct}|in {nn} of \
      {nnn} cases|]
    [no significant difference|a clear trend|a threshold at {decimal}] [was found|was observed] [between groups|for \
      {sciobject}|]
    [accuracy|yield|survival|efficiency] [improved|rose|fell] [by|to] {pct}
    """),
    "papertitle": lines("""
    [the |][effects|influence|impact|role] of {sciobject} on {sciobject}
    {sciobject} and {sciobject}: [a review|evidence from {land}|a case study|results of {method}]
    [towards|modelling|predicting|measuring|understanding] {sciobject} [with|using] {method}
    """),
    "sciaim": phrases(
        "store energy more cheaply; detect cancer earlier; clean drinking water; recycle plastic; predict "
        "floods; grow crops in salty soil"
    ),
    # news
    "place": phrases(
        "the old town; a school; a factory; a residential block; the harbour; a railway bridge; a hospital wing; "
        "farmland; a shopping centre; a hotel"
    ),
    "politics": phrases("""
    pension reform; higher fuel taxes; rent control; a new motorway; school funding; immigration; water supply
    plastic bags; nuclear power
    hospital closures; public transport fares; military spending; farm subsidies; online privacy; minimum wages
    housing; a trade deal
    """),
    "sport": phrases(
        "football; tennis; cycling; basketball; rugby; handball; ice hockey; swimming; athletics; volleyball; "
        "cricket; skiing"
    ),
    "club": lines("{city}[| United| City| FC| Rovers| {cnoun}s| {cnoun}s]"),
    "headline": lines("""
    {club} [beat|stun|hold|lose to] {club} [in {sport} cup|{digit}-{digit}|in thriller|]
    [fire|storm|flood|blackout|crash] in {town} [leaves {n} injured|causes chaos|under investigation|]
    [government|council|minister|parliament] [plans|rejects|delays|approves] {politics}
    [protest against|row over|vote on|fears over] {politics} [in {land}|grows|]
    {seller} [to cut {nnn} jobs|profits {pct} down|shares jump|buys {third}]
    [scientists|researchers] find [new way|clue] to {sciaim}
    {town} [celebrates|mourns|opens|remembers] [new museum|its mayor|festival|football hero]
    [prices|unemployment|exports|rents] [rise|fall] {pct} in {land}
    """),
    # food
    "ingredient": phrases("""
    onion; garlic; carrots; potatoes; flour; sugar; eggs; butter; milk; cream; tomatoes; basil; rice; chicken breast
    minced beef; lentils
    coconut milk; ginger; lemon juice; yeast; honey; cinnamon; walnuts; spinach; mushrooms; cheese; olive oil
    paprika; chilli; parsley
    vanilla; chocolate; apples; raisins; oats; soy sauce; noodles; cod; prawns; bacon; beans; courgette; aubergine
    leek; cumin; thyme
    """),
    "measure": lines("""
    [50|100|150|200|250|300|400|500|750] [g|ml|grams]
    [1|2|3|½|1/2|4] [tbsp|tsp|cups|teaspoons|tablespoons|cloves|handfuls|tins|oz|lb]
    {digit}
    """),
    "prep": phrases(
        "chopped; finely sliced; grated; melted; peeled; diced; at room temperature; crushed; washed; beaten"
    ),
    "dish": lines("""
    [spicy|creamy|classic|roast|baked|quick|vegan|] {ingredient} \
      [soup|stew|pie|curry|salad|cake|bread|risotto|casserole|pancakes|muffins|tart|stir-fry|dumplings|gratin|biscuits]
    {ingredient} and {ingredient} [soup|stew|pie|curry|salad|pasta|quiche|lasagne|pizza|dip]
    """),
    "tasty": phrases("delicious; hearty; light; simple; festive; warming; refreshing"),
    "celsius": lines("[160|170|180|190|200|220] [°C|degrees|C / gas mark {digit}|°C (350 F)]"),
    # technology
    "appliance": phrases("""
    coffee machine; washing machine; vacuum cleaner; lawn mower; router; digital camera; microwave oven
    air conditioner; sewing machine
    hand blender; electric drill; baby monitor; dishwasher; projector; e-bike; water filter; thermostat; alarm clock
    hair dryer; bookshelf
    smoke detector; printer; smart watch; bread maker; pressure washer; fish tank pump; treadmill; label printer; heater
    """),
    "part": phrases(
        "cover; filter; battery; hose; lid; handle; power cable; screw; drum; nozzle; display; blade; tray; "
        "wheel; sensor; tank; button; bracket; valve; lens; antenna"
    ),
    "device": phrases(
        "laptop; printer; scanner; phone; monitor; headset; docking station; tablet; router; card reader; "
        "projector; keyboard"
    ),
    "software": lines("""
    [the |][e-mail client|web shop|accounting software|VPN client|calendar|customer portal|mobile app|time recording \
      tool|CRM|spreadsheet program|browser|backup tool]
    {coined} [Office|Cloud|Desk|Mail|Pro|CRM|ERP]
    """),
    "errortext": lines("""
    [connection timed out|access denied|file not found|invalid password|out of memory|unknown host|licence \
      expired|server not responding|disk full]
    error [code |]{nnn}[{digit}|]|[fatal|unexpected] error 0x{nnnn}
    """),
    "techissue": lines("""
    {software} [crashes|freezes|does not start|is very slow|will not sync|logs me out]
    [cannot|unable to|can't] [log in to|print from|save files in|open attachments in|connect to|update] {software}
    [no sound on|blank screen on|paper jam in|no network on|blue screen on] {device}
    [password reset|access request|missing data|wrong totals|duplicate entries] [for|in] {software}
    """),
    "fix": lines("""
    [restart|reset|update|replace] the {device}
    [clear the cache|reinstall the driver|reset the password|roll back the last update|change the network \
      settings|renew the licence]
    """),
    # private life and reviews
    "hobby": phrases("""
    hiking; painting; the piano; gardening; photography; chess; yoga; football; knitting; running; bird watching
    cooking; sailing; reading
    pottery; dancing; cycling; singing in a choir; fishing; travelling
    """),
    "sight": phrases("""
    the old harbour; the cathedral; the botanical garden; the castle; the national museum; the night market
    the waterfall; the lighthouse
    the opera; the zoo; the wine cellars; the temple; the beach; the pyramids; the glacier; the old mine
    the aquarium; the fish market
    """),
    "stars": lines("{star}[ out of 5|/5| stars| stars|.0]\n[★★★★★|★★★★☆|★★☆☆☆|★☆☆☆☆]"),
    "star": phrases("1; 2; 3; 4; 5"),
    "pro": phrases("""
    easy to use; very sturdy; great value; soft and comfortable; well made; exactly as pictured; quiet; light
    fits perfectly; stylish
    simple to clean; long lasting; tasty; good smell; nice colour
    """),
    "con": phrases("""
    too small; flimsy; noisy; overpriced; hard to assemble; smells of plastic; not as described; scratched
    heavier than expected
    difficult to clean; poorly packed; a bit slow; useless; the colour fades
    """),
}
