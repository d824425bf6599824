"""The first, dense implementation of the recipe, kept as an independent numeric reference.

Distance between two sets of audio files: three views, mean of their energy distances. numpy, scipy (soxr to resample).

Parameters, all of them
  prepare   mono by the mean; zeros cut at both ends; less the mean of the middle half of the first 5 ms; Butterworth high-pass of order 4
            at 30 Hz; samples before the first and after the last cut whose magnitude, the smallest of before, before less that mean, and
            after the filter, is above 1e-3 of its peak (-60 dB), all at the file's own rate; then soxr to 22,050 Hz;
            RMS of the 10 ms frames within 30 dB of the loudest scaled to 0.1; zero-padded to 2048 samples; 1 s windows from 1 s on.
  STFT      periodic Hann, hop n/4, centred, zero-padded by n/2 at both ends. float32.
  envelope  480: n = 256, 1024, 4096; power / sum(win^2); 40 triangular mel bands (Slaney scale, peak 1, 30..11,025 Hz), summed;
            log(M + 1e-6 * .01 * n / 80), i.e. 60 dB under the mean band power of a signal at the prepared level;
            per band mean, sd, rms of rises, rms of falls of the frame-to-frame difference (rms over all frames, the other sign set to 0).
  attack    120: rms of rises minus rms of falls, of the envelope.
  fine      432: n = 512, 1024, 2048; 24 binary mel bands (bins where the triangle is > 0; overlapping); U = X / sqrt(Q),
            Q = |X|^2 + 10^-8 * .01 * sum(win^2), i.e. 80 dB under the mean power of a bin at the prepared level;
            flatness log-mean minus mean-log (mean, sd over time); Re and modulus of the sqrt(Q)-weighted mean over a band of
            U[t+1] conj(U[t])^2 U[t-1] (mean, sd of Re; mean of modulus); the same Re over frequency (mean).
  scale     number / sqrt(sd^2 + (.1 median sd)^2); block / sqrt(median squared distance); both from bundled constants.
  value     mean over the views of 2 E|x-y|^.5 - E|x-x'|^.5 - E|y-y'|^.5, pairs of windows of one file left out. Signed.
"""
import numpy as np, scipy.fft as sfft, scipy.sparse as sp
SR=22050; ENV=(256,1024,4096); FINE=(512,1024,2048); _c={}
def _hz(m): m=np.asarray(m,float); return np.where(m<15,m*200/3,1000*np.exp((m-15)*np.log(6.4)/27))
def _mel(f): return f*3/200 if f<1000 else 15+np.log(f/1000)*27/np.log(6.4)
def mel(n,bands,lo=30.,hi=SR/2):
    e=_hz(np.linspace(_mel(lo),_mel(hi),bands+2)); f=np.arange(n//2+1)*SR/n; d=np.diff(e)
    return np.maximum(0,np.minimum((f-e[:-2,None])/d[:-1,None],(e[2:,None]-f)/d[1:,None]))
def _const(n):
    if n not in _c:
        w=.5-.5*np.cos(2*np.pi*np.arange(n)/n); B=(mel(n,24)>0).astype(float); B/=np.maximum(B.sum(1,keepdims=True),1)
        _c[n]=w.astype(np.float32),mel(n,40).T.astype(np.float32)/np.float32((w*w).sum()),np.ascontiguousarray(B.T,dtype=np.float32)
    return _c[n]
def high_pass(x,sr,hz=30.,order=4):
    """Butterworth, from its poles: bilinear transform of the analogue low-pass turned into a high-pass, one loop over the samples"""
    w=2*sr*np.tan(np.pi*hz/sr); poles=[w/np.exp(1j*np.pi*(2*k+order+1)/(2*order)) for k in range(order//2)]
    y=np.asarray(x,float).tolist()
    for p in poles: # each with its conjugate: s^2 / (s^2 - 2 Re p s + |p|^2) at s = 2 sr (1 - 1/z) / (1 + 1/z)
        c=2*sr; a0=c*c-2*p.real*c+abs(p)**2; a1=(2*abs(p)**2-2*c*c)/a0; a2=(c*c+2*p.real*c+abs(p)**2)/a0; g=c*c/a0
        u=v=s=t=0.; out=[]
        for q in y:
            r=g*(q-2*u+v)-a1*s-a2*t; v,u,t,s=u,q,s,r; out.append(r)
        y=out
    return np.array(y)
def prepare(w,sr):
    w=np.asarray(w,np.float32)
    if w.ndim>1: w=w.mean(1)
    if not len(w) or not np.isfinite(w).all(): raise ValueError('empty or not finite')
    i=np.flatnonzero(w)
    if not len(i): raise ValueError('silent')
    w=w[i[0]:i[-1]+1]; k=round(.005*sr); s=np.sort(np.r_[w[:k].astype(float),np.zeros(max(0,k-len(w)))]); o=s[k//4:k-k//4].mean()
    f=high_pass(w.astype(float)-o,sr).astype(np.float32); a=np.min([abs(w),abs(w-np.float32(o)),abs(f)],axis=0); p=a.max()
    if p<=1e-6: raise ValueError('silent')
    i=np.flatnonzero(a>1e-3*p); w=f[i[0]:i[-1]+1]   # before resampling: leading zeros then change nothing at all
    if sr!=SR:
        import soxr
        w=soxr.resample(w,sr,SR)
    L=220; s=np.arange(0,len(w),L)
    e=np.add.reduceat(w*w,s)/np.diff(np.r_[s,len(w)]); w=w*np.float32(.1/np.sqrt(e[e>e.max()*1e-3].mean()))
    return np.pad(w,(0,max(0,2048-len(w))))
FLOOR=-60
def embed(x,floor=None):
    """prepared samples -> envelope 480, attack 120, fine 432"""
    env=[];att=[];fin=[]; f4=np.float32; fl_=10**((FLOOR if floor is None else floor)/10)*.01/80
    for n in (256,512,1024,2048,4096):
        win,M,W=_const(n); y=np.pad(x,n//2); X=sfft.rfft(np.lib.stride_tricks.sliding_window_view(y,n)[::n//4]*win,axis=1,overwrite_x=True)
        re=np.ascontiguousarray(X.real); im=np.ascontiguousarray(X.imag); P=re*re; P+=im*im
        if n in ENV:
            L=np.log(P@M+f4(fl_*n)); d=np.diff(L,axis=0); k=max(len(d),1); pos=np.maximum(d,0); d-=pos
            u=np.sqrt(np.einsum('ij,ij->j',pos,pos)/k); v=np.sqrt(np.einsum('ij,ij->j',d,d)/k); env+=[L.mean(0),L.std(0),u,v]; att.append(u-v)
        if n in FINE:
            P+=f4(1e-8*.01*(win.astype(float)**2).sum()); g=np.sqrt(P); re/=g; im/=g; fl=np.log(P)@W-np.log(P@W); fin+=[fl.mean(0),fl.std(0)]
            if len(g)>3:
                den=g@W
                p=re[1:]*re[:-1]; p+=im[1:]*im[:-1]; q=im[1:]*re[:-1]; q-=re[1:]*im[:-1]           # U[t+1] conj U[t]
                r=p[1:]*p[:-1]; r+=q[1:]*q[:-1]; r*=g[1:-1]; i=q[1:]*p[:-1]; i-=p[1:]*q[:-1]; i*=g[1:-1]
                a=(r@W)/den[1:-1]; b=(i@W)/den[1:-1]; fin+=[a.mean(0),a.std(0),np.sqrt(a*a+b*b).mean(0)]
                p=re[:,1:]*re[:,:-1]; p+=im[:,1:]*im[:,:-1]; q=im[:,1:]*re[:,:-1]; q-=re[:,1:]*im[:,:-1]
                r=p[:,1:]*p[:,:-1]; r+=q[:,1:]*q[:,:-1]; h=g[:,1:-1]; r*=h
                fin.append((r@W[1:-1]/(h@W[1:-1])).mean(0))
            else: fin+=[np.zeros(24,f4)]*4
    return np.concatenate(env),np.concatenate(att),np.concatenate(fin)
def scales(X,floor=.1):
    """constants of one view from mixed audio (windows x numbers): divisor per number"""
    X=np.asarray(X,float); sd=X.std(0); s=np.sqrt(sd**2+(floor*np.median(sd[sd>0]))**2); Z=(X/s)[::max(1,len(X)//900)]
    return s*np.sqrt(np.median(_sq(Z,Z)[np.triu_indices(len(Z),1)]))
def _sq(X,Y): return np.maximum((X*X).sum(1)[:,None]+(Y*Y).sum(1)-2*X@Y.T,0)
def blocks(Z,files):
    """file x file mean of |x-y|^.5 over window pairs, and the number of files"""
    K=_sq(Z,Z)**.25; u,i=np.unique(files,return_inverse=True); G=np.zeros((len(u),len(Z))); G[i,np.arange(len(Z))]=1/np.bincount(i)[i]
    B=G@K@G.T; np.fill_diagonal(B,0); return B
def statistic(B,n,S=None):
    """energy distance of files 0..n-1 against the rest, or for each row of S (0/1 membership, n ones)"""
    N=len(B); m=N-n
    if S is None: S=np.zeros((1,N)); S[0,:n]=1
    T=S@B; a=(T*S).sum(1); r=T.sum(1); return 2*(r-a)/(n*m)-a/(n*(n-1))-(B.sum()-2*r+a)/(m*(m-1))
