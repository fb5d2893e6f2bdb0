// Ask Java's PKIX whether it accepts chains and revocation lists, as a TLS peer written in Java would.
//
// Each line of the standard input is one question, answered by one line that is empty when Java accepts, or else says why not:
//   client|server ROOT.pem CHAIN.pem LISTS.pem         a chain (leaf first), judged with these revocation lists
//   answer ROOT.pem CHAIN.pem ANSWER.der               a chain, its leaf judged by this OCSP answer and nothing else
import java.io.*;
import java.nio.file.*;
import java.security.KeyStore;
import java.security.cert.*;
import java.util.*;
import javax.net.ssl.*;

public class Validate {
    public static void main(String[] none) throws Exception {
        for (String line; (line = IN.readLine()) != null; ) {
            String why = "";
            try {
                judge(line.split(" "));
            } catch (Exception refused) {
                Throwable cause = refused;
                while (cause.getCause() != null) cause = cause.getCause();
                why = String.valueOf(cause.getMessage()).replace('\n', ' ');
            }
            System.out.println(why);
        }
    }

    static final BufferedReader IN = new BufferedReader(new InputStreamReader(System.in));
    static final CertificateFactory X509 = factory();

    static void judge(String[] asked) throws Exception {
        X509Certificate root = (X509Certificate) read(asked[1]).iterator().next();
        List<X509Certificate> chain = new ArrayList<>();
        for (Certificate each : read(asked[2])) chain.add((X509Certificate) each);
        if (asked[0].equals("answer")) {
            byOCSP(root, chain, Files.readAllBytes(Path.of(asked[3])));
            return;
        }
        PKIXBuilderParameters how = new PKIXBuilderParameters(Set.of(new TrustAnchor(root, null)), new X509CertSelector());
        PKIXRevocationChecker lists = (PKIXRevocationChecker) CertPathBuilder.getInstance("PKIX").getRevocationChecker();
        lists.setOptions(EnumSet.of(PKIXRevocationChecker.Option.PREFER_CRLS, PKIXRevocationChecker.Option.NO_FALLBACK));
        how.addCertPathChecker(lists);
        try (InputStream file = Files.newInputStream(Path.of(asked[3]))) {
            how.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(X509.generateCRLs(file))));
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance("PKIX");
        managers.init(new CertPathTrustManagerParameters(how));
        X509TrustManager manager = (X509TrustManager) managers.getTrustManagers()[0];
        X509Certificate[] shown = chain.toArray(new X509Certificate[0]);
        if (asked[0].equals("client")) manager.checkClientTrusted(shown, "UNKNOWN");
        else manager.checkServerTrusted(shown, "UNKNOWN");
    }

    static void byOCSP(X509Certificate root, List<X509Certificate> chain, byte[] answer) throws Exception {
        PKIXParameters how = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
        CertPathValidator validator = CertPathValidator.getInstance("PKIX");
        PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
        checker.setOptions(EnumSet.of(PKIXRevocationChecker.Option.ONLY_END_ENTITY, PKIXRevocationChecker.Option.NO_FALLBACK));
        checker.setOcspResponses(Map.of(chain.get(0), answer));
        how.addCertPathChecker(checker);
        validator.validate(X509.generateCertPath(chain), how);
    }

    static Collection<? extends Certificate> read(String path) throws Exception {
        try (InputStream file = Files.newInputStream(Path.of(path))) {
            return X509.generateCertificates(file);
        }
    }

    static CertificateFactory factory() {
        try {
            return CertificateFactory.getInstance("X.509");
        } catch (CertificateException impossible) {
            throw new AssertionError(impossible);
        }
    }
}
