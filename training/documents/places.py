"""Places of many countries: cities, regions, and how streets, town lines and postal codes are written there."""

from __future__ import annotations

from dataclasses import dataclass

from .grammar import lines, phrases, words


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


def _countries(text: str) -> tuple[Country, ...]:
    """Countries from three lines each: name, dialling code, postal code; cities, regions; street, town line."""
    rows = [line.split(" :: ") for line in lines(text)]
    return tuple(
        Country(name, phrases(cities), phrases(regions), streets, town_line, postal, dial)
        for (name, dial, postal), (cities, regions), (streets, town_line) in zip(
            rows[::3], rows[1::3], rows[2::3], strict=True
        )
    )


COUNTRIES = _countries("""
UK|United Kingdom|England :: +44 :: L## #LL|LL# #LL|LL## #LL
London; Leeds; Bristol; York; Cardiff; Glasgow; Exeter; Derby; Luton; Hull :: Kent; Essex; Devon; Surrey; West \
  Yorkshire; Isle of Wight
{house} {street} [Street|St|Road|Rd.|Lane|Avenue|Drive|Close|Way] :: {city} {postal}|{city}, {region}, {postal}
USA|United States|U.S.A. :: +1 :: #####|#####-####
Boise; Portland; Austin; Denver; Tampa; Albany; Omaha; Tucson; Fresno; Akron; Seattle :: ID; OR; TX; CO; FL; NY; NE; \
  AZ; CA; OH; WA; NM; MT
{house} {street} [Street|St|Road|Rd.|Lane|Avenue|Drive|Close|Way]|{house} {ordinal} [Ave|St] [NE|SW|W|N|] :: {city}, \
  {region} {postal}
Canada :: +1 :: L#L #L#
Toronto; Calgary; Halifax; Regina; Montréal; Vancouver; Winnipeg :: ON; AB; NS; SK; Québec; BC; MB
{house} {street} [Street|St|Road|Rd.|Lane|Avenue|Drive|Close|Way] :: {city}, {region} {postal}|{city} {region} {postal}
Germany|Deutschland :: +49 :: #####|D-#####
Köln; Hamburg; Stuttgart; Leipzig; Kassel; Bremen; Mainz; Aachen; München :: Hessen; Bayern
{last}[straße|str.|weg|platz|allee] {house} :: {postal} {city}
France :: +33 :: #####
Lyon; Nantes; Lille; Reims; Toulouse; Paris; Strasbourg; Dijon; Metz :: Alsace; Bretagne
{house}, [rue|avenue|place|boulevard] [de la |du |des ]{last} :: {postal} {city}
Italy|Italia :: +39 :: #####
Torino; Bologna; Bergamo; Napoli; Verona; Genova; Milano :: MI; TO; BG; NA; VR
[Via|Viale|Piazza|Corso] {last} {house}|Via {last}, {house} :: {postal} {city}|{postal} {city} ({region})
Spain|España :: +34 :: #####
Madrid; Sevilla; Barcelona; Valencia; Bilbao; Zaragoza :: Aragón; Galicia; Murcia
[C/|Calle|Avda.|Plaza] {last}, {house} :: {postal} {city}
Portugal :: +351 :: ####|####-###
Lisboa; Porto; Braga; Coimbra; Faro :: Algarve; Minho
[Rua|Av.|Estrada] {last} {house}|Rua {last} n. {house} :: {postal} {city}
Brazil|Brasil :: +55 :: #####-###
São Paulo; Campinas; Recife; Curitiba; Rio de Janeiro; Belo Horizonte :: SP; RJ; PE; PR; MG
[Rua|Av.|Alameda|Travessa] {last}, {house} :: {city}, {region} {postal}|{city} - {region}
Mexico|México :: +52 :: #####
Puebla; Monterrey; México D.F.; Mérida :: N.L.; D.F.; Jal.
[Calle|Av.|Calz.] {last} {house} :: {postal} {city}, {region}|{city} {postal}
Argentina :: +54 :: ####
Buenos Aires; Rosario; Córdoba; Mendoza :: Santa Fe; Salta
[Av.|Calle|] {last} {house} :: {city} {postal}
Venezuela :: +58 :: ####
Caracas; Barquisimeto; San Cristóbal; Maracaibo :: Lara; Táchira; DF
[Carrera|Av.|Calle] {house} con {last} :: {city} {postal} {region}
Sweden|Sverige :: +46 :: S-### ##|### ##
Luleå; Malmö; Uppsala; Göteborg; Stockholm :: Skåne; Dalarna
{last}[gatan|vägen] {house} :: {postal} {city}
Norway|Norge :: +47 :: ####
Bergen; Stavern; Oslo; Tromsø :: Vestland; Viken
{last}[s gate|veien] {house} :: {postal} {city}
Denmark|Danmark :: +45 :: ####
Århus; København; Odense; Aalborg :: Fyn; Sjælland
{last}[vej|gade|stræde] {house} :: {postal} {city}
Finland|Suomi :: +358 :: #####
Oulu; Helsinki; Turku; Tampere :: Lappi; Häme
{last}[katu|tie] {house} :: {postal} {city}
Netherlands|Nederland :: +31 :: #### LL
Utrecht; Breda; Delft; Rotterdam :: Zeeland; Gelderland
{last}[straat|laan|weg|gracht] {house} :: {postal}  {city}|{postal} {city}
Belgium :: +32 :: B-####|####
Gent; Charleroi; Brussel; Namur :: Hainaut; Limburg
[Rue {last}, {house}|{last}straat {house}] :: {postal} {city}
Switzerland|Schweiz :: +41 :: ####
Bern; Genève; Basel; Zürich :: BE; GE; ZH
{last}[strasse|gasse|weg] {house} :: {postal} {city}
Austria|Österreich :: +43 :: ####|A-####
Graz; Salzburg; Wien; Linz :: Tirol; Kärnten
{last}[gasse|straße] {house} :: {postal} {city}
Ireland :: +353 :: L## L###
Cork; Dublin; Galway; Limerick :: Co. Cork; Co. Kerry
{house} {street} [Street|St|Road|Rd.|Lane|Avenue|Drive|Close|Way] :: {city}, {region}|{city} {postal}
Poland|Polska :: +48 :: ##-###
Kraków; Gdańsk; Warszawa; Łódź :: Mazowieckie; Śląskie
ul. {last}[a|ego|] {house} :: {postal} {city}
Czech Republic :: +420 :: ### ##
Praha; Brno; Plzeň :: Morava; Čechy
{last}[ova|ská] {house} :: {postal} {city}
Hungary :: +36 :: H-####|####
Budapest; Szeged; Pécs :: Pest; Zala
{last} [utca|út|tér] {house}. :: {postal} {city}
Turkey|Türkiye :: +90 :: #####
Ankara; İzmir; Bursa; Istanbul :: Ege; Marmara
{last} [Cad.|Sok.] No: {house} :: {postal} {city}
India :: +91 :: ######
Pune; Chennai; Jaipur; Kolkata; Mumbai; Kochi :: Maharashtra; Kerala; Tamil Nadu; Gujarat
{house}, {last} [Road|Nagar|Marg]|Plot {house}, [Phase II|Sector {digit}], {last} Nagar :: {city} - {postal}|{city}, \
  {region} {postal}
Pakistan :: +92 :: #####
Lahore; Karachi; Multan :: Punjab; Sindh
House {house}, Street {digit}, {last} Town :: {city} {postal}
China|P.R. China :: +86 :: ######
Shanghai; Shenzhen; Ningbo; Xiamen; Chengdu :: Zhejiang; Guangdong; Fujian
No. {house} {last} [Road|Rd|Street]|Room {house}, {last} Building, {digit} Renmin Road :: {city}, {region} {postal}
Japan :: +81 :: ###-####
Osaka; Sapporo; Yokohama; Tokyo; Nagoya :: Aichi; Hokkaido
{digit}-{digit}-{house} {last}-cho|{digit}-{house} {last}, {last}-ku :: {city} {postal}|{city}, {region} {postal}
South Korea|Korea :: +82 :: #####
Busan; Seoul; Daegu :: Gyeonggi-do
{house}, {last}-ro, {last}-gu :: {city} {postal}
Singapore :: +65 :: ######
Singapore :: Jurong
{house} {last} [Road|Crescent|Avenue] #0{digit}-{house} :: Singapore {postal}
Australia :: +61 :: ####
Perth; Hobart; Melbourne; Sydney; Adelaide :: WA; TAS; VIC; NSW; SA; QLD
{house} {street} [Street|St|Road|Rd.|Lane|Avenue|Drive|Close|Way] :: {city} {region} {postal}
New Zealand :: +64 :: ####
Napier; Dunedin; Auckland :: Otago; Waikato
{house} {street} [Street|St|Road|Rd.|Lane|Avenue|Drive|Close|Way] :: {city} {postal}
South Africa :: +27 :: ####
Durban; Pretoria; Cape Town :: Gauteng; KZN
{house} {street} [Street|St|Road|Rd.|Lane|Avenue|Drive|Close|Way] :: {city}, {postal}
Nigeria :: +234 :: ######
Lagos; Kano; Ibadan; Abuja :: Oyo State; Lagos State
{house} {last} [Street|Close|Crescent] :: {city}, {region}
Kenya :: +254 :: #####
Nairobi; Mombasa; Kisumu :: Rift Valley
P.O. Box {house}{house}, {last} Road :: {city} {postal}
Egypt :: +20 :: #####
Cairo; Alexandria; Giza :: Giza
{house} {last} St. :: {city} {postal}
United Arab Emirates|UAE :: +971 :: #####
Dubai; Sharjah; Abu Dhabi :: Dubai
Unit {house}, {last} [Tower|Building|Road] :: {city}|P.O. Box {postal}, {city}
""")

STREETS = words("""
High Mill Church Station Park Victoria Queen King Market Bridge Elm Oak Maple Cedar Willow Chestnut Lake Hill River
Spring
Forest Highland Sunset Meadow Garden Orchard Canal Dock Harbour Quarry Railway College School Castle Abbey Priory
Windsor
Lincoln Jefferson Franklin Madison Wellington Nelson Cromwell Foundry Weaver Potter Tanner Fairfield Greenway Kingsley
""")
