package main

import "strings"

// Word lists of our own making, the most usual first.

func list(s string) []string  { return strings.Fields(s) }
func lines(s string) []string { return strings.Split(strings.TrimSpace(s), "\n") }

var languages = list("en en en de fr es it sv pl nl")

var joints = []string{" ", " ", " ", " ", " ", " ", " ", " ", ", ", " ", ". ", " ", " - ", ": ", " ", "\n", " & ", "/", "; "}

var prose = map[string][]string{
	"en": list(`the to and of a in for with on is at you from it my be this we will have not are that or as by your can our all call meeting
time about up one out new if get what do please next before after day when first no so but me week more bring buy check make take need ask
send back home work house book plan list order phone number mail email birthday dinner lunch breakfast school doctor dentist appointment
holiday trip flight train hotel ticket car bus station airport office team project review report budget draft notes agenda follow update
change discuss prepare confirm decide remember reminder idea question answer read write paper letter page chapter story letter money bill pay
invoice contract insurance bank account card customer client manager release server backup computer password photo picture camera video music
film garden kitchen bathroom window door garage roof floor wall paint repair clean wash fix build tools bicycle bike shopping milk bread butter
eggs cheese coffee tea sugar flour salt water wine beer rice pasta tomatoes potatoes onions apples bananas chicken fish recipe cook bake oven
minutes hours days weeks months year today tomorrow yesterday morning afternoon evening night Monday Tuesday Wednesday Thursday Friday Saturday
Sunday January February March April May June July August September October November December spring summer autumn winter weekend family mother
father parents children kids son daughter brother sister friend friends wife husband grandma uncle aunt baby dog cat people party wedding
anniversary present gift present surprise visit stay leave arrive meet talk speak tell show help start finish end open close early late until
between during without under over near around every each several another same other last second third few many much most very well also only
just still again always never often soon later already yet here there where how why who which would could should may might must don't can't
let's it's I'm we're old good great big small long short right left high low full empty easy hard free ready important urgent done waiting
training course class lesson exam practice match team game running swimming gym yoga walk hiking tent map road street city town village country
north south sea beach lake river mountain island weather rain snow sun wind cold warm measure compare choose cancel renew register sign form
document folder file print scan copy address key code size colour weight price cost sale tax report result test sample data version design
language word words sentence translation meaning thing things part parts side line point case group set area room table chair lamp bed
medicine pharmacy health blood tooth eyes glasses vet tyres oil petrol electricity heating gas internet contract delivery parcel post
quarter deadline schedule travel winter summer while however because decide quick slow`),
	"de": list(`und der die das mit für zu in am um ist nicht ein eine auf von bei den im noch oder auch nach bis wie vor ich wir sie es dem zum zur
bitte Termin Besprechung Geburtstag Arzt Zahnarzt Schule Urlaub Reise Zug Bahn Hotel Flug Auto Werkstatt Büro Projekt Bericht Angebot Rechnung
Vertrag Versicherung Bank Konto Kunde Anruf anrufen Einkaufen Milch Brot Butter Eier Käse Kaffee Zucker Mehl Wasser Kartoffeln Garten Küche
Fenster Tür Fahrrad Reparatur Idee Frage Antwort Buch Kapitel Woche Tag Monat Jahr heute morgen gestern früh Abend Mittag Montag Dienstag Mittwoch
Donnerstag Freitag Samstag Sonntag Januar Februar März April Mai Juni Juli August September Oktober November Dezember Frühling Sommer Herbst
Winter Familie Mutter Vater Eltern Kinder Oma Opa Freunde Hochzeit Geschenk Besuch abholen mitnehmen bestellen kaufen kochen backen prüfen
schreiben lesen machen fertig wichtig offen neu alt groß klein Uhr Minuten Stunde Wohnung Miete Strom Heizung Straße Stadt Nummer Liste`),
	"fr": list(`de la le et les à des du en un une pour avec dans sur au est que pas ce par qui plus nous vous je se ne ou mais chez
réunion rendez-vous anniversaire médecin dentiste école vacances voyage train hôtel billet voiture bureau projet rapport budget facture contrat
assurance banque compte client appeler acheter lait pain beurre oeufs fromage café sucre farine eau vin pommes jardin cuisine fenêtre vélo idée
question réponse livre semaine jour mois année aujourd'hui demain matin soir midi lundi mardi mercredi jeudi vendredi samedi dimanche janvier
février mars avril mai juin juillet août septembre octobre novembre décembre été hiver printemps automne famille mère père enfants amis mariage
cadeau visite préparer envoyer vérifier payer prendre faire avant après`),
	"es": list(`de la el y los las en un una para con por que del al se no su es lo más como pero este hay ya cuando
reunión cita cumpleaños médico dentista escuela vacaciones viaje tren hotel billete coche oficina proyecto informe presupuesto factura contrato
seguro banco cuenta cliente llamar comprar leche pan huevos queso café azúcar harina agua vino manzanas jardín cocina ventana bicicleta idea
pregunta libro semana día mes año hoy mañana tarde noche lunes martes miércoles jueves viernes sábado domingo enero febrero marzo abril mayo junio
julio agosto septiembre octubre noviembre diciembre verano invierno familia madre padre hijos amigos boda regalo visita preparar enviar pagar`),
	"it": list(`di e il la che per con un una in del da non è si le i al della sono come anche più ma alla nel ora
riunione appuntamento compleanno medico dentista scuola vacanze viaggio treno albergo biglietto macchina ufficio progetto fattura contratto
banca cliente chiamare comprare latte pane uova formaggio caffè zucchero farina acqua vino mele giardino cucina finestra idea libro settimana
giorno mese anno oggi domani sera mattina lunedì martedì mercoledì giovedì venerdì sabato domenica gennaio febbraio marzo aprile maggio giugno
luglio agosto settembre ottobre novembre dicembre famiglia mamma papà figli amici regalo visita`),
	"sv": list(`och att i på en det som för med av till är den inte om ett har de vi jag från vid kan ska
möte födelsedag läkare tandläkare skola semester resa tåg hotell bil kontor projekt rapport faktura avtal bank kund ringa köpa mjölk bröd smör
ägg ost kaffe socker vatten trädgård kök fönster cykel idé fråga bok vecka dag månad år idag imorgon kväll måndag tisdag onsdag torsdag fredag
lördag söndag januari februari mars april maj juni juli augusti sommar vinter familj mamma pappa barn vänner bröllop present besök`),
	"pl": list(`i w na z do nie się to jest o że po od za jak dla przez przy lub ale tak
spotkanie urodziny lekarz dentysta szkoła wakacje podróż pociąg hotel bilet samochód biuro projekt raport faktura umowa bank klient zadzwonić
kupić mleko chleb masło jajka ser kawa cukier mąka woda ogród kuchnia okno rower pomysł książka tydzień dzień miesiąc rok dziś jutro wieczór
poniedziałek wtorek środa czwartek piątek sobota niedziela styczeń luty marzec kwiecień maj czerwiec lipiec sierpień rodzina mama tata dzieci`),
	"nl": list(`de het en van een in op te voor met is dat niet zijn aan om bij ook naar uit er maar als nog
afspraak verjaardag dokter tandarts school vakantie reis trein hotel auto kantoor project verslag factuur contract bank klant bellen kopen melk
brood boter eieren kaas koffie suiker water tuin keuken raam fiets idee vraag boek week dag maand jaar vandaag morgen avond maandag dinsdag
woensdag donderdag vrijdag zaterdag zondag januari februari maart april mei juni juli augustus zomer winter familie moeder vader kinderen`),
}

var firstNames = list(`Anna Maria Peter Michael Thomas Daniel David Martin Andreas Christian Paul John James Robert Sarah Laura Julia Sophie Emma
Lena Lisa Eva Katharina Christine Claudia Sabine Petra Monika Andrea Susanne Barbara Elisabeth Margaret Mary Jane Alice Emily Olivia Charlotte
Grace Lucy Hannah Rachel Rebecca Jessica Jennifer Amy Kate Helen Alexander Max Felix Leon Lukas Jonas Tim Jan Jakob Simon Philipp Sebastian
Stefan Markus Frank Klaus Hans Jürgen Wolfgang Werner Karl Otto William George Henry Edward Charles Richard Mark Steven Andrew Matthew Luke Adam
Oliver Jack Harry Tom Ben Sam Joe Pierre Jean Marie Camille Claire Louis Antoine Nicolas Julien Élodie François Hélène Chloé Manon Léa Hugo
José Juan Carlos Luis Miguel Javier Pablo Sofía Lucía Carmen Elena Isabel Marta Ana Giulia Marco Luca Francesca Alessandro Matteo Chiara Paolo
Piotr Paweł Tomasz Agnieszka Katarzyna Małgorzata Michał Krzysztof Zofia Łukasz Erik Lars Nils Anders Karin Ingrid Astrid Björn Sven Åsa Søren
Mette Freja Mikkel Kasper Henrik Jens Niels Aino Mikko Juha Dmitri Olga Natalia Ivan Sergei Irina Tatjana Yuki Hiroshi Kenji Sakura Wei Li Mei
Ming Jun Min-jun Ji-woo Priya Anil Ravi Sunita Arjun Fatima Mohammed Ahmed Ali Aisha Omar Leila Yusuf Emre Ayşe Mehmet Kwame Ama Chinedu Ngozi
Thabo Zanele Ximena Diego Valentina João Beatriz Tiago Inês Rui`)

var lastNames = list(`Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Koch Bauer Richter Klein Wolf Schröder Neumann
Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Werner Krause Lehmann Köhler Maier König Huber Kaiser Fuchs Peters Lang Scholz Möller Weiß
Jung Hahn Vogel Keller Frank Berger Winkler Roth Beck Lorenz Smith Jones Williams Brown Taylor Davies Evans Wilson Thomas Johnson Roberts Walker
Wright Robinson Thompson White Hughes Edwards Green Hall Wood Harris Lewis Martin Jackson Clarke Clark Turner Hill Scott Cooper Morris Ward Moore
King Watson Baker Harrison Morgan Patel Young Allen Mitchell Anderson Phillips Lee Bell Parker Davis Miller Garcia Rodriguez Martinez Hernandez
Lopez Gonzalez Perez Sanchez Ramirez Torres Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco Bernard Dubois Durand Moreau
Laurent Lefebvre Leroy Roux Girard Fontaine Andersson Johansson Karlsson Nilsson Eriksson Larsson Olsson Persson Svensson Hansen Jensen Nielsen
Pedersen Christensen Larsen Sørensen Rasmussen Olsen Johansen Berg Nowak Kowalski Wiśniewski Wójcik Kowalczyk Kamiński Lewandowski Zieliński Silva
Santos Oliveira Pereira Costa Ferreira Ivanov Smirnov Petrov Popov Tanaka Sato Suzuki Watanabe Kim Park Choi Wang Zhang Chen Liu Singh Kumar
Sharma Khan Ahmed Hassan Ali Yılmaz Demir Kaya Mensah Okafor Diallo Nguyen Tran Jansen Bakker Visser Smit Peeters Janssens O'Connor Murphy Kelly`)

var cities = lines(`
London
Berlin
Paris
Hamburg
München
Wien
Zürich
Köln
Frankfurt am Main
Madrid
Barcelona
Roma
Milano
Amsterdam
Bruxelles
København
Stockholm
Oslo
Helsinki
Warszawa
Kraków
Praha
Budapest
Lisboa
Porto
Dublin
Edinburgh
Manchester
Birmingham
Leeds
Bristol
Cambridge
Oxford
New York
San Francisco
Los Angeles
Chicago
Boston
Seattle
Toronto
Sydney
Tokyo
Lyon
Marseille
Toulouse
Bordeaux
Stuttgart
Düsseldorf
Leipzig
Dresden
Hannover
Nürnberg
Bremen
Graz
Salzburg
Bern
Basel
Genève
Torino
Napoli
Firenze
Valencia
Sevilla
Göteborg
Malmö
Aarhus
Rotterdam
Utrecht
Gdańsk
Wrocław`)

var countries = lines(`
Germany
United Kingdom
France
Deutschland
USA
Austria
Switzerland
Spain
Italy
Sweden
Denmark
Netherlands
Poland
United States of America
Schweiz
Österreich
Ireland
Portugal
Belgium
Norway`)

var streets = lines(`
Hauptstraße
High Street
Main Street
Bahnhofstraße
Church Road
Station Road
Gartenstraße
Schulstraße
Park Road
Victoria Road
London Road
Dorfstraße
Rue de la République
Rue Victor Hugo
Avenue de la Gare
Rue de Paris
Via Roma
Via Garibaldi
Calle Mayor
Calle Real
Storgatan
Kungsgatan
Vestergade
Nørregade
Lindenstraße
Bergstraße
Kirchstraße
Mill Lane
Queen Street
Oak Avenue
Maple Street
Elm Street
Am Bahnhof
Goethestraße
Schillerstraße
Ringstraße
Wiesenweg
Mühlweg
Church Lane
The Green`)

var domains = list(`gmail.com example.com example.org web.de gmx.de yahoo.com hotmail.com outlook.com icloud.com t-online.de gmx.net
googlemail.com orange.fr free.fr wanadoo.fr libero.it mail.com posteo.de btinternet.com live.com aol.com me.com example.net yahoo.co.uk
hotmail.co.uk bluewin.ch telia.com wp.pl mail.example.com mail.example.org company.example`)

var companies = lines(`
GmbH
Ltd
Bäckerei Sommer
Nordlicht GmbH
Blue River Ltd
Stadtwerke
Universität
Garage Martin
Dr. Weiss & Partner
Smith & Sons
Elektro Haas GmbH & Co. KG
Riverside School
City Hospital
Praxis am Markt
Software AG
Consulting Group
Design Studio
Architekten
Green Energy Inc.
Hotel Post
Restaurant Roma
Auto Service Center
Media Solutions
Tennis Club
Sparkasse
Volksbank eG
Library
Post Office
International Trading Company
Systems SA
Engineering AB
Foods A/S
Labs
Travel Agency
Insurance Group`)

var countryCodes = list("+49 +1 +44 +33 +43 +41 +39 +34 +45 +46 +31 +48 +351 +32 +47 +353 +358 +420 +81 +86 +91")

var categories = lines(`
Personal
Work
Family
Friends
Business
myContacts
Holiday
Birthday
MEETING
PERSONAL,HOME
Vacation
Important`)

var zones = lines(`
Europe/Berlin
Europe/London
America/New_York
Europe/Paris
America/Los_Angeles
Europe/Vienna
Europe/Zurich
America/Chicago
Europe/Madrid
Europe/Rome
Europe/Stockholm
Europe/Copenhagen
Europe/Amsterdam
Europe/Warsaw
Asia/Tokyo
Australia/Sydney
W. Europe Standard Time
Eastern Standard Time`)

var cardProducts = lines(`
-//Apple Inc.//iPhone OS 17.0//EN
ez-vcard 0.11.3
-//Apple Inc.//macOS 14.0//EN
-//Sabre//Sabre VObject 4.5.4//EN
-//Nextcloud Contacts v5.5.0
-//Inverse inc.//SOGo Connector 1.0//EN
-//CyrusIMAP.org//Cyrus 3.0.0..//EN`)

var calendarProducts = lines(`
-//Google Inc//Google Calendar 70.9054//EN
-//Mozilla.org/NONSGML Mozilla Calendar V1.1//EN
-//Apple Inc.//macOS 14.0//EN
-//Apple Inc.//iPhone OS 17.0//EN
Microsoft Exchange Server 2010
-//Nextcloud calendar v4.6
DAVx5/4.3 ical4j/3.2.13
-//Microsoft Corporation//Outlook 16.0 MIMEDIR//EN
+//IDN bitfire.at//ical4android
-//Sabre//Sabre VObject 4.5.4//EN
-//Evolution//NONSGML//EN
-//tasks.org//android-130800//EN`)
