"""Names of people, companies and places of many cultures, kept as parts that combine into very many."""

from __future__ import annotations

from dataclasses import dataclass

from .grammar import phrases, words

FIRST_NAMES = words("""
James Mary Robert Linda Michael Susan David Karen Thomas Nancy Daniel Emily Andrew Laura Peter Helen George Alice Henry
Grace Oliver Chloe Jack Sophie Harry Ruby Ewan Fiona Rhys Megan Liam Aoife Sean Niamh Tyler Brooke Jordan Kayla Mason
Hans Greta Jürgen Sabine Klaus Heike Stefan Anke Matthias Ulrike Lukas Lena Pierre Camille Jean Margaux Luc Hélène
Antoine Élodie Thierry Claire Giulia Marco Paolo Chiara Luca Francesca Enzo Bianca Carlos María Javier Lucía Diego
Carmen Andrés Paula Miguel Rosa João Beatriz Rui Inês Tiago Larissa Pedro Fernanda Sven Ingrid Lars Astrid Erik Maja
Nils Karin Mikko Aino Jari Päivi Jan Anneke Pieter Marijke Bram Femke Piotr Agnieszka Tomasz Katarzyna Marek Zofia
Petr Jana Pavel Eva László Katalin Gábor Ildikó Ivan Olga Dmitri Svetlana Sergei Natalia Yuri Irina Nikos Eleni Yannis
Dimitra Mehmet Ayşe Emre Zeynep Burak Elif Ahmed Fatima Omar Layla Youssef Amina Karim Nour Hassan Samira Reza Shirin
David Noa Eitan Tamar Arjun Priya Rahul Ananya Vikram Meera Sanjay Kavita Imran Ayesha Bilal Sana Wei Li Jing Ming Hui
Xiaoli Jun Yan Haruto Yuki Kenji Sakura Takashi Emiko Minjun Jiwoo Seojun Hana Nguyen Linh Minh Thao Somchai Malee Budi
Siti Rizky Dewi Jose Maricel Kwame Ama Chinedu Ngozi Tunde Folake Wanjiru Kamau Thabo Naledi Sipho Zanele Abebe Hiwot
Desta Moana Tane Aroha Malia Keanu Priscilla Desmond Yvonne Winston Marcia Otis Beryl Dwayne Shanice
""")

LAST_NAMES = words("""
Smith Johnson Williams Brown Taylor Wilson Clarke Walker Wright Hughes Green Hall Wood Harris Turner Cooper Ward Morris
Bailey Parker Bennett Carter Foster Graham Hayes Webb Barker Chapman Dixon Fletcher Gibson Holt Irving Jarvis Kerr Lowe
MacLeod Campbell Murray Sinclair O'Brien Murphy Kelly Byrne Gallagher Evans Davies Griffiths Llewellyn Miller Anderson
Thompson Jackson Robinson Lewis Young Allen Scott Baker Adams Nelson Mitchell Roberts Phillips Schmidt Müller Weber
Schneider Fischer Wagner Becker Hoffmann Schäfer Koch Richter Klein Wolf Neumann Zimmermann Krüger Hartmann Lange Dubois
Lefebvre Moreau Laurent Girard Bonnet Rousseau Fontaine Chevallier Mercier Blanchard Gauthier Rossi Ferrari Esposito
Bianchi Romano Colombo Ricci Marino Conti Greco García Martínez López Sánchez Pérez Gómez Fernández Ruiz Díaz Moreno
Navarro Ortega Delgado Castillo Herrera Silva Santos Oliveira Pereira Costa Almeida Ribeiro Carvalho Nunes Andersson
Johansson Karlsson Nilsson Lindqvist Berglund Hansen Olsen Larsen Kristiansen Haugen Jensen Nielsen Møller Virtanen
Korhonen Mäkinen Heikkinen De Vries Jansen Bakker Visser Smit Meijer Peeters Claes Kowalski Nowak Wiśniewski Zieliński
Novák Svoboda Dvořák Horváth Szabó Kovács Varga Ivanov Petrov Smirnov Kuznetsova Popescu Ionescu Papadopoulos Georgiou
Nikolaidis Yılmaz Demir Kaya Şahin Öztürk Haddad Mansour Khalil Nasser El-Sayed Farouk Hosseini Karimi Cohen Levi Mizrahi
Sharma Patel Gupta Singh Reddy Iyer Nair Chatterjee Mehta Khan Ahmed Hussain Malik Chowdhury Perera Fernando Wang Zhang
Liu Chen Yang Huang Zhao Wu Zhou Lin Tanaka Suzuki Sato Watanabe Yamamoto Nakamura Kobayashi Kim Park Choi Jung Tran Pham
Le Hoang Vo Suwannarat Wijaya Santoso Hidayat Reyes Cruz Bautista Ramos Mensah Owusu Boateng Okafor Adeyemi Okonkwo
Balogun Mwangi Otieno Kiplagat Nkosi Dlamini Mokoena Botha Van der Merwe Tesfaye Bekele Tui Rangi Kahale Grant Bogle
""")

SYLLABLE_STARTS = words("""
al ar bel bra cal cor dan del dor el fen fer gal hel in kal ker lan lor lum mar mer mon nor nov or pan pel quan ral ren
sal sen sil sol tal ter tor tri ul val ver vin vor wel xan yor zan zen aqua bio eco geo micro nano omni opti pro syn uni
""")
SYLLABLE_ENDS = words("""
a ado aga an and ara aris ax co da dex dia don edo ell en era eta ex ia ica ida ika ima ina ion is ita ium ix lo lon ma
mar max mera mia mont na net nia o on ora os ova pex ra ran ria rio ro ron sis sol ta tec tek tia to tra tron um us va vex
via vis ward wave xa xis y za zo
""")

COMPANY_TRADES = phrases("""
Trading; Foods; Fine Foods; Logistics; Freight; Hardware; Tools; Supplies; Office Supplies; Electronics; Systems; Software
Solutions; Consulting; Engineering; Construction; Textiles; Fashion; Garments; Medical; Pharma; Laboratories; Garden Centre
Nurseries; Motors; Auto Parts; Chemicals; Plastics; Packaging; Printing; Media; Publishing; Energy; Power; Water; Telecom
Mobile; Insurance; Finance; Capital; Bank; Properties; Estates; Catering; Bakery; Brewery; Wines; Beverages; Dairy; Seafood
Meats; Produce; Farms; Imports; Export; Wholesale; Distribution; Stores; Markets; Retail; Furniture; Interiors; Lighting
Cleaning; Facilities; Security; Travel; Tours; Hotels; Shipping; Transport; Couriers; Marine; Aviation; Steel; Metals; Timber
Paper; Glass; Ceramics; Optics; Instruments; Robotics; Analytics; Design; Studio; Books; Toys; Sports; Outdoor; Cosmetics
""")
COMPANY_ENDS = phrases("""
Ltd; Ltd.; Limited; Inc.; Inc; LLC; Corp.; Corporation; PLC; & Co.; & Sons; & Daughters; Brothers; Group; Holdings; GmbH
AG; KG; S.A.; SARL; SAS; S.p.A.; S.r.l.; B.V.; N.V.; AB; A/S; AS; Oy; Sp. z o.o.; s.r.o.; Kft.; Lda; S.L.; Pty Ltd; Pte Ltd
Co., Ltd; K.K.; Pvt. Ltd.; Partners; International; Worldwide; Associates; Cooperative; Trust
""")
COMPANY_FORMS = phrases("""
{last} {ctrade}; {last} {ctrade} {cend}; {last} {cend}; {last} & {last}; {last} & {last} {cend}; {last}, {last} & {last}
{coined} {cend}; {coined} {ctrade}; {coined} {ctrade} {cend}; {coined}; {city} {ctrade}; {city} {ctrade} {cend}
The {cadj} {cnoun}; {cadj} {cnoun} {ctrade}; {cadj} {cnoun} {cend}; {cnoun} & {cnoun}; {first}'s {ctrade}; {last}'s {cnoun}
[Vins|Fromages|Épices|Maison|Boulangerie|Papeterie] {last}; [Comércio|Mercearia|Padaria|Casa] {last}
[Bodega|Tienda|Ferretería|Almacenes|Panadería] {last}; [Trattoria|Forno|Cantina|Officine|Ditta] {last}
{last} [Feinkost|Großhandel|Handel|Spedition|Werkzeuge|Getränke]; {last} [Handels|Livs|Mat|Bygg] AB; {last} [Tukku|Kauppa] Oy
[Hotel|Café|Restaurant|Bistro|Pension] {last}; {cadj} {cnoun} [Café|Deli|Market|Grocers|Stores]; [North|South|East|West] {city} {ctrade}
""")
COMPANY_ADJECTIVES = words("""
Blue Green Red Golden Silver White Black Bright Clear Grand Royal Northern Southern Eastern Western Old New First Prime
Rapid Swift Happy Hungry Quiet Wild Modern Classic Global United National Central Pacific Atlantic Alpine Coastal
""")
COMPANY_NOUNS = words("""
Star Harbour River Bridge Oak Maple Pine Cedar Falcon Eagle Fox Lion Bear Otter Heron Anchor Lantern Compass Mill Forge
Crown Castle Gate Tower Summit Valley Meadow Orchard Garden Kettle Barrel Basket Spoon Table Hearth Sun Moon Horizon
Arrow Wheel Anvil Beacon Canyon Delta Ridge Stone Crystal Feather Clover Thistle Rose Lotus
""")


@dataclass(frozen=True)
class Country:
    """What addresses of one country look like."""

    name: str
    cities: tuple[str, ...]
    regions: tuple[str, ...]
    streets: str
    town_line: str
    postal: str
    dial: str


def _country(name: str, cities: str, regions: str, streets: str, town_line: str, postal: str, dial: str) -> Country:
    return Country(name, phrases(cities), phrases(regions), streets, town_line, postal, dial)


_EN = "{house} {street} [Street|St|Road|Rd.|Lane|Avenue|Drive|Close|Way]"
_AFTER, _BEFORE = "{city} {postal}", "{postal} {city}"

COUNTRIES = (
    _country("UK|United Kingdom|England", "London; Leeds; Bristol; York; Cardiff; Glasgow; Exeter; Derby; Luton; Hull",
             "Kent; Essex; Devon; Surrey; West Yorkshire; Isle of Wight", _EN, "{city} {postal}|{city}, {region}, {postal}",
             "L## #LL|LL# #LL|LL## #LL", "+44"),
    _country("USA|United States|U.S.A.", "Boise; Portland; Austin; Denver; Tampa; Albany; Omaha; Tucson; Fresno; Akron; Seattle",
             "ID; OR; TX; CO; FL; NY; NE; AZ; CA; OH; WA; NM; MT", _EN + "|{house} {ordinal} [Ave|St] [NE|SW|W|N|]",
             "{city}, {region} {postal}", "#####|#####-####", "+1"),
    _country("Canada", "Toronto; Calgary; Halifax; Regina; Montréal; Vancouver; Winnipeg", "ON; AB; NS; SK; Québec; BC; MB",
             _EN, "{city}, {region} {postal}|{city} {region} {postal}", "L#L #L#", "+1"),
    _country("Germany|Deutschland", "Köln; Hamburg; Stuttgart; Leipzig; Kassel; Bremen; Mainz; Aachen; München", "Hessen; Bayern",
             "{last}[straße|str.|weg|platz|allee] {house}", _BEFORE, "#####|D-#####", "+49"),
    _country("France", "Lyon; Nantes; Lille; Reims; Toulouse; Paris; Strasbourg; Dijon; Metz", "Alsace; Bretagne",
             "{house}, [rue|avenue|place|boulevard] [de la |du |des ]{last}", _BEFORE, "#####", "+33"),
    _country("Italy|Italia", "Torino; Bologna; Bergamo; Napoli; Verona; Genova; Milano", "MI; TO; BG; NA; VR",
             "[Via|Viale|Piazza|Corso] {last} {house}|Via {last}, {house}", _BEFORE + "|{postal} {city} ({region})", "#####", "+39"),
    _country("Spain|España", "Madrid; Sevilla; Barcelona; Valencia; Bilbao; Zaragoza", "Aragón; Galicia; Murcia",
             "[C/|Calle|Avda.|Plaza] {last}, {house}", _BEFORE, "#####", "+34"),
    _country("Portugal", "Lisboa; Porto; Braga; Coimbra; Faro", "Algarve; Minho", "[Rua|Av.|Estrada] {last} {house}|Rua {last} n. {house}",
             _BEFORE, "####|####-###", "+351"),
    _country("Brazil|Brasil", "São Paulo; Campinas; Recife; Curitiba; Rio de Janeiro; Belo Horizonte", "SP; RJ; PE; PR; MG",
             "[Rua|Av.|Alameda|Travessa] {last}, {house}", "{city}, {region} {postal}|{city} - {region}", "#####-###", "+55"),
    _country("Mexico|México", "Puebla; Monterrey; México D.F.; Mérida", "N.L.; D.F.; Jal.", "[Calle|Av.|Calz.] {last} {house}",
             "{postal} {city}, {region}|{city} {postal}", "#####", "+52"),
    _country("Argentina", "Buenos Aires; Rosario; Córdoba; Mendoza", "Santa Fe; Salta", "[Av.|Calle|] {last} {house}",
             _AFTER, "####", "+54"),
    _country("Venezuela", "Caracas; Barquisimeto; San Cristóbal; Maracaibo", "Lara; Táchira; DF", "[Carrera|Av.|Calle] {house} con {last}",
             "{city} {postal} {region}", "####", "+58"),
    _country("Sweden|Sverige", "Luleå; Malmö; Uppsala; Göteborg; Stockholm", "Skåne; Dalarna", "{last}[gatan|vägen] {house}",
             _BEFORE, "S-### ##|### ##", "+46"),
    _country("Norway|Norge", "Bergen; Stavern; Oslo; Tromsø", "Vestland; Viken", "{last}[s gate|veien] {house}", _BEFORE, "####", "+47"),
    _country("Denmark|Danmark", "Århus; København; Odense; Aalborg", "Fyn; Sjælland", "{last}[vej|gade|stræde] {house}", _BEFORE, "####", "+45"),
    _country("Finland|Suomi", "Oulu; Helsinki; Turku; Tampere", "Lappi; Häme", "{last}[katu|tie] {house}", _BEFORE, "#####", "+358"),
    _country("Netherlands|Nederland", "Utrecht; Breda; Delft; Rotterdam", "Zeeland; Gelderland", "{last}[straat|laan|weg|gracht] {house}",
             "{postal}  {city}|" + _BEFORE, "#### LL", "+31"),
    _country("Belgium", "Gent; Charleroi; Brussel; Namur", "Hainaut; Limburg", "[Rue {last}, {house}|{last}straat {house}]", _BEFORE, "B-####|####", "+32"),
    _country("Switzerland|Schweiz", "Bern; Genève; Basel; Zürich", "BE; GE; ZH", "{last}[strasse|gasse|weg] {house}", _BEFORE, "####", "+41"),
    _country("Austria|Österreich", "Graz; Salzburg; Wien; Linz", "Tirol; Kärnten", "{last}[gasse|straße] {house}", _BEFORE, "####|A-####", "+43"),
    _country("Ireland", "Cork; Dublin; Galway; Limerick", "Co. Cork; Co. Kerry", _EN, "{city}, {region}|{city} {postal}", "L## L###", "+353"),
    _country("Poland|Polska", "Kraków; Gdańsk; Warszawa; Łódź", "Mazowieckie; Śląskie", "ul. {last}[a|ego|] {house}", _BEFORE, "##-###", "+48"),
    _country("Czech Republic", "Praha; Brno; Plzeň", "Morava; Čechy", "{last}[ova|ská] {house}", _BEFORE, "### ##", "+420"),
    _country("Hungary", "Budapest; Szeged; Pécs", "Pest; Zala", "{last} [utca|út|tér] {house}.", _BEFORE, "H-####|####", "+36"),
    _country("Turkey|Türkiye", "Ankara; İzmir; Bursa; Istanbul", "Ege; Marmara", "{last} [Cad.|Sok.] No: {house}", _BEFORE, "#####", "+90"),
    _country("India", "Pune; Chennai; Jaipur; Kolkata; Mumbai; Kochi", "Maharashtra; Kerala; Tamil Nadu; Gujarat",
             "{house}, {last} [Road|Nagar|Marg]|Plot {house}, [Phase II|Sector {digit}], {last} Nagar", "{city} - {postal}|{city}, {region} {postal}", "######", "+91"),
    _country("Pakistan", "Lahore; Karachi; Multan", "Punjab; Sindh", "House {house}, Street {digit}, {last} Town", _AFTER, "#####", "+92"),
    _country("China|P.R. China", "Shanghai; Shenzhen; Ningbo; Xiamen; Chengdu", "Zhejiang; Guangdong; Fujian",
             "No. {house} {last} [Road|Rd|Street]|Room {house}, {last} Building, {digit} Renmin Road", "{city}, {region} {postal}", "######", "+86"),
    _country("Japan", "Osaka; Sapporo; Yokohama; Tokyo; Nagoya", "Aichi; Hokkaido", "{digit}-{digit}-{house} {last}-cho|{digit}-{house} {last}, {last}-ku",
             "{city} {postal}|{city}, {region} {postal}", "###-####", "+81"),
    _country("South Korea|Korea", "Busan; Seoul; Daegu", "Gyeonggi-do", "{house}, {last}-ro, {last}-gu", _AFTER, "#####", "+82"),
    _country("Singapore", "Singapore", "Jurong", "{house} {last} [Road|Crescent|Avenue] #0{digit}-{house}", "Singapore {postal}", "######", "+65"),
    _country("Australia", "Perth; Hobart; Melbourne; Sydney; Adelaide", "WA; TAS; VIC; NSW; SA; QLD", _EN, "{city} {region} {postal}", "####", "+61"),
    _country("New Zealand", "Napier; Dunedin; Auckland", "Otago; Waikato", _EN, _AFTER, "####", "+64"),
    _country("South Africa", "Durban; Pretoria; Cape Town", "Gauteng; KZN", _EN, "{city}, {postal}", "####", "+27"),
    _country("Nigeria", "Lagos; Kano; Ibadan; Abuja", "Oyo State; Lagos State", "{house} {last} [Street|Close|Crescent]", "{city}, {region}", "######", "+234"),
    _country("Kenya", "Nairobi; Mombasa; Kisumu", "Rift Valley", "P.O. Box {house}{house}, {last} Road", "{city} {postal}", "#####", "+254"),
    _country("Egypt", "Cairo; Alexandria; Giza", "Giza", "{house} {last} St.", _AFTER, "#####", "+20"),
    _country("United Arab Emirates|UAE", "Dubai; Sharjah; Abu Dhabi", "Dubai", "Unit {house}, {last} [Tower|Building|Road]", "{city}|P.O. Box {postal}, {city}", "#####", "+971"),
)

STREETS = words("""
High Mill Church Station Park Victoria Queen King Market Bridge Elm Oak Maple Cedar Willow Chestnut Lake Hill River Spring
Forest Highland Sunset Meadow Garden Orchard Canal Dock Harbour Quarry Railway College School Castle Abbey Priory Windsor
Lincoln Jefferson Franklin Madison Wellington Nelson Cromwell Foundry Weaver Potter Tanner Fairfield Greenway Kingsley
""")
